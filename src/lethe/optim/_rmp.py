"""RMP: a random perturbation, the baseline that shows what AMP's direction is worth."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from lethe._check import LetheError, non_negative
from lethe.optim._tensors import sharded
from lethe.optim._two_pass import TwoPassOptimizer


class RMP(TwoPassOptimizer):
    """Random Model Perturbation: the gradient at weights moved at random (the baseline of AMP's paper).

    Each tensor of n entries moves by a draw from U(±√(epsilon / n)) an entry. There is one pass, at the perturbed
    weights, so :meth:`step` returns what the closure returned there. Cost: 3F, as plain training.

    Args:
        params: parameters or parameter groups; ``epsilon`` may differ by group.
        base_optimizer: the torch optimizer class that makes the final step.
        epsilon: at least 0; AMP's paper: 0.1.
        generator: source of the perturbations; None is torch's global one. Its state is yours to save: it is not in
            ``state_dict()``.
        base_kwargs: the base optimizer's own options, ``lr`` among them, and those of the step
            (:class:`lethe.optim.StepOptions`).
    """

    _first_pass_at_weights = False

    def __init__(
        self,
        params: ParamsT,
        base_optimizer: Callable[..., Optimizer] = torch.optim.SGD,
        epsilon: float = 0.1,
        *,
        generator: torch.Generator | None = None,
        **base_kwargs: Any,
    ) -> None:
        self.generator = generator
        super().__init__(params, base_optimizer, {"epsilon": epsilon}, base_kwargs)

    def _check_group(self, group: dict[str, Any]) -> None:
        non_negative("epsilon", group["epsilon"])

    def _extra_state(self) -> dict[str, Any]:
        return {"generator": self.generator}

    def _passes(self, group: dict[str, Any]) -> int:
        return 1

    def _perturb(self, inner: int) -> None:
        for group in self.param_groups:
            for weight in self._moving(group):
                if sharded(weight):
                    raise LetheError(
                        "RMP cannot perturb sharded weights (FSDP): its draw would depend on the sharding."
                    )
                bound = math.sqrt(group["epsilon"] / weight.numel())
                delta = self._buffer(self._delta, weight)
                if self.generator is None or self.generator.device == weight.device:
                    delta.uniform_(-bound, bound, generator=self.generator)
                else:
                    drawn = torch.empty(weight.shape, dtype=weight.dtype, device=self.generator.device)
                    delta.copy_(drawn.uniform_(-bound, bound, generator=self.generator))
                weight.add_(delta)


@dataclass(frozen=True, kw_only=True)
class RMPConfig:
    """RMP's own options; the base optimizer is SGD."""

    epsilon: float = 0.1
    """A tensor of n entries moves by U(±√(epsilon / n)) an entry. AMP's paper: 0.1."""

    def __post_init__(self) -> None:
        non_negative("epsilon", self.epsilon)
