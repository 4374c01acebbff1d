"""AMP: minimise the loss at the worst weights in a small ball around the present ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from lethe._check import LetheError, at_least, non_negative, one_of
from lethe.optim._shards import local, norm_of_all, norms
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
        batch_statistics: ``"first"``: batch norm's running statistics move once a step. ``"every"``: in each pass.
        dropout: ``"fresh"``: every pass draws its own masks. ``"same"``: the passes of a step draw alike.
        base_kwargs: the base optimizer's own options: ``momentum``, ``nesterov``, ``weight_decay``, …

    Raises:
        LetheError: (a ``ValueError``) for a value out of range or an option the base optimizer does not know.

    Where paper, official code (``hiyouga/AMP-Regularizer``, ``amp.py``) and Lethe differ:
        The values are those of the official code. Its state leaves the momentum out of ``state_dict()``; ours has
        it. It reads ``inner_iter`` from the defaults only; here it may differ by group. It comes back by
        subtraction; here the weights return bit for bit. It moves batch norm's running statistics in every pass
        (``batch_statistics="every"`` does as well). It clips gradients in the closure, and so the ascent's too:
        clip in your closure for the same.
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
        batch_statistics: str = "first",
        dropout: str = "fresh",
        **base_kwargs: Any,
    ) -> None:
        self.ball = one_of("ball", ball, BALLS)
        if epsilon is None:
            if "eps" not in base_kwargs:
                raise LetheError(
                    "AMP needs epsilon, the radius of the ball around the weights; the paper uses 0.1 to 0.5."
                )
            epsilon = base_kwargs.pop("eps")
        rule = {"epsilon": epsilon, "inner_lr": inner_lr, "inner_iter": inner_iter}
        options = {"lr": lr, **base_kwargs}
        super().__init__(params, base_optimizer, rule, options, batch_statistics=batch_statistics, dropout=dropout)

    def _check_group(self, group: dict[str, Any]) -> None:
        non_negative("epsilon", group["epsilon"])
        non_negative("inner_lr", group["inner_lr"])
        at_least("inner_iter", group["inner_iter"], 0)

    def _extra_state(self) -> dict[str, Any]:
        return {"ball": self.ball}

    def _passes(self, group: dict[str, Any]) -> int:
        return int(group["inner_iter"])

    def _perturb(self, inner: int) -> None:
        groups: list[tuple[float, list[Tensor]]] = []  # (epsilon, deltas) of each group
        for group in self.param_groups:
            weights = [p for p in group["params"] if p.requires_grad]
            if not weights:
                continue
            deltas = [self._buffer(self._delta, p) for p in weights]
            if inner == 0:
                torch._foreach_zero_(local(deltas))
            if inner < group["inner_iter"]:  # a group whose ascent is over stays where it is
                moved = [(d, p.grad) for d, p in zip(deltas, weights, strict=True) if p.grad is not None]
                if moved:
                    ascended, gradients = map(list, zip(*moved, strict=True))
                    torch._foreach_add_(local(ascended), local(gradients), alpha=group["inner_lr"])
            groups.append((float(group["epsilon"]), deltas))
        self._project(groups)
        for group in self.param_groups:
            weights = [p for p in group["params"] if p.requires_grad]
            if weights:
                torch._foreach_copy_(local(weights), local([self._saved[p] for p in weights]))
                torch._foreach_add_(local(weights), local([self._delta[p] for p in weights]))

    def _project(self, groups: list[tuple[float, list[Tensor]]]) -> None:
        """Scale the deltas down into their balls. The norms stay on the device: nothing waits for the host."""
        if self.ball == "linf":
            for epsilon, deltas in groups:
                torch._foreach_clamp_max_(local(deltas), epsilon)
                torch._foreach_clamp_min_(local(deltas), -epsilon)
            return
        lengths = [norms(deltas) for _, deltas in groups]
        if self.ball == "global":
            whole = norm_of_all([delta for _, deltas in groups for delta in deltas])
            lengths = [[whole.to(n.device) for n in group] for group in lengths]
        for (epsilon, deltas), group in zip(groups, lengths, strict=True):
            # 1e-12 as in the official code: a tensor without gradient has norm 0 and stays 0.
            torch._foreach_mul_(local(deltas), [(epsilon / (n + 1e-12)).clamp_(max=1.0) for n in group])


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
