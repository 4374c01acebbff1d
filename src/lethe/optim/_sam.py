"""SAM and ASAM: one ascent step of a fixed length over the whole network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from lethe._check import non_negative
from lethe.optim import _tensors
from lethe.optim._two_pass import TwoPassOptimizer


class SAM(TwoPassOptimizer):
    """Sharpness-Aware Minimization (Foret et al., ICLR 2021), and ASAM (Kwon et al., ICML 2021) with ``adaptive``.

    The perturbation is ``rho · g / ‖g‖`` over all parameters together; ASAM's is ``rho · w² g / ‖ |w| g ‖``,
    element by element, which does not change when a layer is scaled up and the next one down. Cost: 6F against 3F.

    Example::

        optimizer = SAM(model.parameters(), torch.optim.SGD, rho=0.05, lr=0.1, momentum=0.9)

    Args:
        params: parameters or parameter groups; ``rho`` and ``adaptive`` may differ by group.
        base_optimizer: the torch optimizer class that makes the final step.
        rho: length of the perturbation, at least 0. The papers: 0.05 (SAM), 0.5 to 2 (ASAM).
        adaptive: ASAM.
        base_kwargs: the base optimizer's own options, ``lr`` among them, and those of the step
            (:class:`lethe.optim.StepOptions`).

    Where the common code (``davda54/sam``) and Lethe differ:
        The values are its values. Its ``state_dict`` leaves the base optimizer's momentum out, and its batch
        statistics move in both passes. ASAM's paper adds a small constant to ``|w|``; the code and Lethe do not.
    """

    def __init__(
        self,
        params: ParamsT,
        base_optimizer: Callable[..., Optimizer] = torch.optim.SGD,
        rho: float = 0.05,
        adaptive: bool = False,
        **base_kwargs: Any,
    ) -> None:
        super().__init__(params, base_optimizer, {"rho": rho, "adaptive": adaptive}, base_kwargs)

    def _check_group(self, group: dict[str, Any]) -> None:
        non_negative("rho", group["rho"])

    def _passes(self, group: dict[str, Any]) -> int:
        return 1

    def _perturb(self, inner: int) -> None:
        moves: list[tuple[float, list[Tensor], list[Tensor]]] = []  # (rho, weights, direction) of each group
        scaled: list[Tensor] = []  # what the norm is taken of
        for group in self.param_groups:
            weights = [p for p in self._moving(group) if p.grad is not None]
            if not weights:
                continue
            direction = [p.grad for p in weights]
            if group["adaptive"]:
                sizes = [p.detach().abs() for p in weights]
                products = [g * size for g, size in zip(direction, sizes, strict=True)]
                direction = [product * size for product, size in zip(products, sizes, strict=True)]
                scaled += products
            else:
                scaled += direction
            moves.append((float(group["rho"]), weights, direction))
        if not moves:
            return
        whole = _tensors.norm_of_all(scaled, foreach=self._foreach)
        for rho, weights, direction in moves:
            _tensors.add_scaled_(weights, direction, rho / (whole + 1e-12), foreach=self._foreach)


@dataclass(frozen=True, kw_only=True)
class SAMConfig:
    """SAM's own options; the base optimizer is SGD."""

    rho: float = 0.05
    """Length of the perturbation. The papers: 0.05 (SAM), 0.5 to 2 (ASAM)."""
    adaptive: bool = False
    """ASAM: lengths relative to each weight."""

    def __post_init__(self) -> None:
        non_negative("rho", self.rho)
