"""AMP: minimise the loss at the worst weights in a small ball around the present ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from lethe._check import LetheError, at_least, non_negative, one_of, whole
from lethe.optim import _tensors
from lethe.optim._two_pass import TwoPassOptimizer

BALLS = ("tensor", "global", "linf")


class AMP(TwoPassOptimizer):
    """Adversarial Model Perturbation (Zheng, Zhang and Mao, CVPR 2021, arXiv 2010.04925).

    A step minimises ``max_{‖Δ‖ ≤ epsilon} L(θ + Δ)``: from Δ = 0, ``inner_iter`` times,
    ``Δ ← project(Δ + inner_lr · ∇L(θ + Δ))``; then θ is restored and the base optimizer steps with the gradient
    taken at θ + Δ. Cost: ``3F (1 + inner_iter)`` against ``3F`` of plain training.

    Example::

        optimizer = AMP(model.parameters(), lr=0.1, epsilon=0.5, momentum=0.9)

        def closure():
            optimizer.zero_grad()
            outputs = model(inputs)
            loss = F.cross_entropy(outputs, targets)
            loss.backward()
            return outputs, loss

        outputs, loss = optimizer.step(closure)

    Args:
        params: parameters or parameter groups. ``epsilon``, ``inner_lr`` and ``inner_iter`` may differ by group.
        lr: learning rate of the base optimizer.
        epsilon: radius of the ball, in the weights' own unit (l2, or l∞ by ``ball``); at least 0. The paper's values
            are 0.1 to 0.5. ``eps=``, as the published example writes it, means the same; where ``epsilon`` is given as
            well, ``eps`` goes to the base optimizer (Adam has one).
        inner_lr: step size of the ascent; at least 0.
        inner_iter: number of ascent steps; 0 is the base optimizer alone.
        base_optimizer: the torch optimizer class that makes the final step.
        ball: ``"tensor"``: each parameter tensor has a ball of its own, as the official code does, so the whole
            perturbation may be as long as ``epsilon · √(number of tensors)``. ``"global"``: one ball for the whole
            vector, as the paper writes it. ``"linf"``: no entry moves by more than ``epsilon``.
        base_kwargs: the base optimizer's own options (``momentum``, ``nesterov``, ``weight_decay``, …), and those of
            the step (:class:`lethe.optim.StepOptions`: ``batch_statistics``, ``dropout``, ``clip_norm``, …).

    Raises:
        LetheError: (a ``ValueError``) for a value out of range or an option the base optimizer does not know.

    Where paper, official code (``hiyouga/AMP-Regularizer``, ``amp.py``) and Lethe differ:
        The values are those of the official code. Its state leaves the momentum out of ``state_dict()``; ours has
        it. It reads ``inner_iter`` from the defaults only; here it may differ by group. It comes back by
        subtraction; here the weights return bit for bit. It moves batch norm's running statistics in every pass
        (``batch_statistics="every"`` does as well). Its script clips in the closure, and so the ascent's gradient too:
        ``clip_norm=50, clip_ascent=True``; its older code clipped the last gradient alone: ``clip_norm=50``.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float,
        epsilon: float | None = None,
        inner_lr: float = 1.0,
        inner_iter: int = 1,
        base_optimizer: Callable[..., Optimizer] = torch.optim.SGD,
        *,
        ball: str = "tensor",
        **base_kwargs: Any,
    ) -> None:
        self.ball = one_of("ball", ball, BALLS)
        self._eps_is_epsilon = epsilon is None
        if epsilon is None:
            if "eps" not in base_kwargs:
                raise LetheError(
                    "AMP needs epsilon, the radius of the ball around the weights; the paper uses 0.1 to 0.5."
                )
            epsilon = base_kwargs.pop("eps")
        rule = {"epsilon": epsilon, "inner_lr": inner_lr, "inner_iter": inner_iter}
        super().__init__(params, base_optimizer, rule, {"lr": lr, **base_kwargs})

    def _check_group(self, group: dict[str, Any]) -> None:
        non_negative("epsilon", group["epsilon"])
        non_negative("inner_lr", group["inner_lr"])
        whole("inner_iter", group["inner_iter"], 0)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a parameter group; its ``eps`` is its ``epsilon`` where this optimizer was built with ``eps``."""
        if self._eps_is_epsilon and "eps" in param_group and "epsilon" not in param_group:
            param_group["epsilon"] = param_group.pop("eps")
        super().add_param_group(param_group)

    def _extra_state(self) -> dict[str, Any]:
        return {"ball": self.ball, "_eps_is_epsilon": self._eps_is_epsilon}

    def _passes(self, group: dict[str, Any]) -> int:
        return int(group["inner_iter"])

    def _perturb(self, inner: int) -> None:
        groups: list[tuple[float, list[Tensor]]] = []  # (epsilon, weights) of each group
        for group in self.param_groups:
            weights = self._moving(group)
            if not weights:
                continue
            deltas = [self._buffer(self._delta, p) for p in weights]
            if inner == 0:
                _tensors.zero_(deltas, foreach=self._foreach)
            moved = [(d, p.grad) for d, p in zip(deltas, weights, strict=True) if p.grad is not None]
            if moved and inner < group["inner_iter"]:  # a group whose ascent is over stays where it is
                ascended, gradients = map(list, zip(*moved, strict=True))
                _tensors.add_(ascended, gradients, alpha=group["inner_lr"], foreach=self._foreach)
            groups.append((float(group["epsilon"]), weights))
        self._project(groups)
        everyone = [p for _, weights in groups for p in weights]
        if inner:  # before the first, the weights are the saved ones
            _tensors.copy_(everyone, [self._saved[p] for p in everyone], foreach=self._foreach)
        _tensors.add_(everyone, [self._delta[p] for p in everyone], foreach=self._foreach)

    def _project(self, groups: list[tuple[float, list[Tensor]]]) -> None:
        """Scale the deltas down into their balls. The norms stay on the device: nothing waits for the host."""
        whole = None
        if self.ball == "global":
            everyone = [self._delta[p] for _, weights in groups for p in weights]
            whole = _tensors.norm_of_all(everyone, foreach=self._foreach)
        for epsilon, weights in groups:
            deltas = [self._delta[p] for p in weights]
            if self.ball == "linf":
                _tensors.clamp_(deltas, epsilon, foreach=self._foreach)
                continue
            lengths = _tensors.norms(deltas, foreach=self._foreach) if whole is None else whole
            # 1e-12 as in the official code: a tensor without gradient has norm 0 and stays 0.
            _tensors.scale_(deltas, (epsilon / (lengths + 1e-12)).clamp_(max=1.0), foreach=self._foreach)


@dataclass(frozen=True, kw_only=True)
class AMPConfig:
    """AMP's own options; the base optimizer is SGD."""

    epsilon: float = 0.5
    """Radius of the ball around the weights (l2). The paper: 0.5 for PreActResNet-18, 0.1 for VGG16."""
    inner_lr: float = 1.0
    """Step size of the ascent."""
    inner_iter: int = 1
    """Ascent steps: each costs one more forward and backward pass."""
    ball: str = "tensor"
    """tensor: a ball for each tensor, as the official code; global: for the whole vector, as the paper; linf: a box."""

    def __post_init__(self) -> None:
        non_negative("epsilon", self.epsilon)
        non_negative("inner_lr", self.inner_lr)
        at_least("inner_iter", self.inner_iter, 0)
        one_of("ball", self.ball, BALLS)


@dataclass(frozen=True, kw_only=True)
class AMPUnderAttackConfig:
    """AMP's own options beside those of an attack, which has an epsilon too."""

    amp_epsilon: float = 0.1
    """Radius of the ball around the weights (l2)."""
    inner_lr: float = 1.0
    """Step size of the ascent."""
    inner_iter: int = 1
    """Ascent steps: each costs one more forward and backward pass."""
    ball: str = "tensor"
    """tensor: a ball for each tensor, as the official code; global: for the whole vector, as the paper; linf: a box."""

    def __post_init__(self) -> None:
        non_negative("amp_epsilon", self.amp_epsilon)
        non_negative("inner_lr", self.inner_lr)
        at_least("inner_iter", self.inner_iter, 0)
        one_of("ball", self.ball, BALLS)

    def build(self, params: ParamsT, **base_kwargs: Any) -> AMP:
        """AMP over SGD with the base optimizer's own options."""
        options = {"inner_lr": self.inner_lr, "inner_iter": self.inner_iter, "ball": self.ball, **base_kwargs}
        return AMP(params, epsilon=self.amp_epsilon, **options)
