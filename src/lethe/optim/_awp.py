"""AWP and RWP: perturbations as long as a share of the weights themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from lethe._check import LetheError, at_least, non_negative, whole
from lethe.optim import _tensors
from lethe.optim._two_pass import TwoPassOptimizer

TINY = 1e-20
"""Added to norms, as in AWP's code."""


class AWP(TwoPassOptimizer):
    """Adversarial Weight Perturbation (Wu, Xia and Wang, NeurIPS 2020).

    Each tensor of more than one dimension (convolutional and linear weights; no bias, no normalisation) moves by
    ``gamma · ‖w‖ · g / ‖g‖``. Under adversarial training the closure's loss is that of the adversarial batch, the same
    in both passes. Cost: 6F against 3F; with PGD-10 26F against 23F.

    Args:
        params: parameters or parameter groups; ``gamma`` may differ by group.
        base_optimizer: the torch optimizer class that makes the final step.
        gamma: length of the perturbation as a share of the tensor's norm, at least 0. The paper: 0.01 with PGD-AT,
            0.005 with TRADES.
        base_kwargs: the base optimizer's own options, ``lr`` among them, and those of the step
            (:class:`lethe.optim.StepOptions`; ``step_at="perturbed"`` is the official order).

    Where the official code (``csdongxian/AWP``) and Lethe differ:
        The code finds the direction by one SGD step of a copy of the network, whose learning rate cancels; here it
        is the gradient of the first pass. It takes the base step at the perturbed weights (``step_at="perturbed"``)
        and comes back by subtraction. Its batch statistics see the perturbed pass alone.
    """

    def __init__(
        self,
        params: ParamsT,
        base_optimizer: Callable[..., Optimizer] = torch.optim.SGD,
        gamma: float = 0.01,
        **base_kwargs: Any,
    ) -> None:
        super().__init__(params, base_optimizer, {"gamma": gamma}, base_kwargs)
        _require_matrices(self.param_groups)

    def _check_group(self, group: dict[str, Any]) -> None:
        non_negative("gamma", group["gamma"])

    def _passes(self, group: dict[str, Any]) -> int:
        return 1

    def _perturb(self, inner: int) -> None:
        for group in self.param_groups:
            weights = [p for p in self._moving(group) if p.ndim > 1 and p.grad is not None]
            if not weights:
                continue
            gradients = [p.grad for p in weights]
            lengths = _tensors.norms([p.detach() for p in weights], foreach=self._foreach)
            slopes = _tensors.norms(gradients, foreach=self._foreach)
            # Where there is no gradient the quotient would be too large for half precision, and 0 times that nan.
            factors = torch.where(slopes > 0, group["gamma"] * lengths / (slopes + TINY), 0.0)
            _tensors.add_scaled_(weights, gradients, factors, foreach=self._foreach)


class RWP(TwoPassOptimizer):
    """Robust Weight Perturbation (Yu et al., IJCAI 2022, arXiv 2205.14826).

    ``inner_iter`` times, at ``w + gamma · v``, the gradient of the ascent loss is added to a sum d, and
    ``v = (‖w‖ / ‖d‖) · d`` with both norms over all tensors of more than one dimension together. The ascent loss is
    the batch's mean of the per-sample losses under a threshold c (the others count as 0): 1.7 on CIFAR-10 and SVHN, 4.0
    on CIFAR-100. It is a closure of its own::

        def ascent_closure():
            optimizer.zero_grad()
            losses = F.cross_entropy(model(x_adv), y, reduction="none")
            (losses * (losses < 1.7)).mean().backward()

        loss = optimizer.step(closure, ascent_closure)

    Cost: 3F (1 + ``inner_iter``). Where no sample is ever under the threshold, nothing is perturbed.

    Args:
        params: parameters or parameter groups; ``gamma`` may differ by group.
        base_optimizer: the torch optimizer class that makes the final step.
        gamma: length of the perturbation as a share of the norm of all these weights, at least 0. The paper: 0.01.
        inner_iter: ascent passes, at least 1. The code: always 10.
        base_kwargs: the base optimizer's own options, ``lr`` among them, and those of the step
            (:class:`lethe.optim.StepOptions`; ``step_at="perturbed"`` is the official order).

    Where the official code (``ChaojianYu/Robust-Weight-Perturbation``) and Lethe differ:
        As for :class:`AWP`. Without an ``ascent_closure`` all samples count.
    """

    def __init__(
        self,
        params: ParamsT,
        base_optimizer: Callable[..., Optimizer] = torch.optim.SGD,
        gamma: float = 0.01,
        inner_iter: int = 10,
        **base_kwargs: Any,
    ) -> None:
        self.inner_iter = whole("inner_iter", inner_iter, 1)
        super().__init__(params, base_optimizer, {"gamma": gamma}, base_kwargs)
        _require_matrices(self.param_groups)

    def _check_group(self, group: dict[str, Any]) -> None:
        non_negative("gamma", group["gamma"])

    def _extra_state(self) -> dict[str, Any]:
        return {"inner_iter": self.inner_iter}

    def _passes(self, group: dict[str, Any]) -> int:
        return self.inner_iter

    def _perturb(self, inner: int) -> None:
        groups = []
        for group in self.param_groups:
            weights = [p for p in self._moving(group) if p.ndim > 1]
            if weights:
                groups.append((float(group["gamma"]), weights))
        everyone = [p for _, weights in groups for p in weights]
        if not everyone:  # all matrices are frozen at the moment
            return
        sums = [self._buffer(self._delta, p) for p in everyone]
        if inner == 0:
            _tensors.zero_(sums, foreach=self._foreach)
            self._length = _tensors.norm_of_all([self._saved[p] for p in everyone], foreach=self._foreach)
        moved = [(d, p.grad) for d, p in zip(sums, everyone, strict=True) if p.grad is not None]
        if moved:
            _tensors.add_([d for d, _ in moved], [g for _, g in moved], foreach=self._foreach)
        pushed = _tensors.norm_of_all(sums, foreach=self._foreach)
        factor = torch.where(pushed > 0, self._length / (pushed + TINY), 0.0)
        if inner:  # before the first, the weights are the saved ones
            _tensors.copy_(everyone, [self._saved[p] for p in everyone], foreach=self._foreach)
        for gamma, weights in groups:
            deltas = [self._delta[p] for p in weights]
            _tensors.add_scaled_(weights, deltas, gamma * factor, foreach=self._foreach)


def _require_matrices(groups: list[dict[str, Any]]) -> None:
    if not any(p.ndim > 1 for group in groups for p in group["params"]):
        raise LetheError("no parameter has more than one dimension: there is nothing that AWP or RWP could perturb.")


@dataclass(frozen=True, kw_only=True)
class AWPConfig:
    """AWP's own options; the base optimizer is SGD."""

    awp_gamma: float = 0.01
    """Length of the perturbation, as a share of each tensor's norm. The paper: 0.01 with PGD-AT, 0.005 with TRADES."""
    awp_warmup: int = 0
    """Epochs before weights are perturbed. The code: 0, on SVHN 5, with TRADES 9 (it counts from 1)."""

    def __post_init__(self) -> None:
        non_negative("awp_gamma", self.awp_gamma)
        at_least("awp_warmup", self.awp_warmup, 0)

    def build(self, params: ParamsT, **base_kwargs: Any) -> AWP:
        """AWP over SGD with the base optimizer's own options."""
        return AWP(params, gamma=self.awp_gamma, **base_kwargs)


@dataclass(frozen=True, kw_only=True)
class RWPConfig:
    """RWP's own options; the base optimizer is SGD."""

    rwp_gamma: float = 0.01
    """Length of the perturbation, as a share of the norm of all tensors of more than one dimension."""
    rwp_steps: int = 10
    """Ascent steps: each costs one more forward and backward pass."""
    rwp_warmup: int = 0
    """Epochs before weights are perturbed. The code: 0, on SVHN 5."""
    rwp_threshold: float | None = None
    """Only samples with a smaller loss push the weights; none: 1.7, and on CIFAR-100 4.0."""

    def __post_init__(self) -> None:
        non_negative("rwp_gamma", self.rwp_gamma)
        at_least("rwp_steps", self.rwp_steps, 1)
        at_least("rwp_warmup", self.rwp_warmup, 0)
        if self.rwp_threshold is not None:
            non_negative("rwp_threshold", self.rwp_threshold)
