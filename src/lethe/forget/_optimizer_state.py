"""What an optimizer remembers of forgotten weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from lethe._check import LetheError, one_of
from lethe._shards import add_ranks, local

STATES = ("clear", "keep", "mean")
SCALES = ("exp_avg_sq", "max_exp_avg_sq", "exp_inf", "square_avg", "sum", "acc_delta")
"""Names under which torch's optimizers keep how large gradients are, by which a step is divided."""
WEIGHTS = ("ax", "z", "slow_buff", "lookahead_slow_buff")
"""Names under which optimizers keep other weights: torch's ASGD, schedule-free ones, timm's Lookahead."""
BEGINNINGS = {"step_size": "lr", "sum": "initial_accumulator_value"}
"""What does not begin at 0, and the group's option that it begins at: Rprop's, Adagrad's."""
WITHIN = ("optim", "optimizer", "base_optimizer", "_base_optimizer")
"""Where an optimizer around another keeps that: ZeroRedundancyOptimizer, schedule-free wrappers, Lookahead."""


def check_state(state: str) -> None:
    """Raise where there is no such choice."""
    one_of("state", state, STATES)


def forget_state(optimizer: Optimizer, parameter: Tensor, mask: Tensor, state: str) -> None:
    """Clear, keep, or even out the optimizer's state of the masked entries; the others keep their bits.

    What belongs to no single weight stays: Adafactor's scales of rows and columns. LBFGS forgets all it has measured,
    since none of it is of this network any more.

    Args:
        optimizer: torch's, one of Lethe's, or one around another.
        parameter: whose state; it has its new values.
        mask: of its shape and sharding, True = forgotten.
        state: ``"clear"``: what it begins with, which is 0 but for few; a second set of weights takes the new values.
            ``"keep"``: nothing is done. ``"mean"``: directions (momentum, first moments) become 0, but scales (second
            moments) the mean of those that are kept, or of all if none is.
    """
    if state == "keep":
        return
    for holder in _holders(optimizer):
        if isinstance(holder, torch.optim.LBFGS) and bool(local([mask])[0].any()):
            holder.state.clear()
        for key, value in holder.state.get(parameter, {}).items():
            if key == "step" or not isinstance(value, Tensor) or value.shape != parameter.shape:
                continue
            here, masked, new = local([value, mask, parameter.detach()])
            if here.shape != masked.shape:
                raise LetheError(
                    f"the optimizer's {key!r} of a sharded weight is sharded otherwise: take state='keep'."
                )
            if key in WEIGHTS:
                here.copy_(torch.where(masked, new.to(here.dtype), here))
            elif state == "mean" and key in SCALES:
                here.copy_(torch.where(masked, _mean_of_kept(here, masked, parameter), here))
            else:
                here.masked_fill_(masked, _beginning(holder, parameter, key))


def _holders(optimizer: Optimizer) -> Iterator[Optimizer]:
    """An optimizer and those within it; one that shares its state with the outer one does not count twice."""
    seen: list[int] = []
    within: Any = optimizer
    while within is not None:
        if id(within.state) not in seen:
            seen.append(id(within.state))
            yield within
        found = (getattr(within, name, None) for name in WITHIN)
        within = next((inner for inner in found if hasattr(inner, "state") and hasattr(inner, "param_groups")), None)


def _beginning(optimizer: Optimizer, parameter: Tensor, key: str) -> float:
    """What an optimizer's state of a weight is before its first step."""
    if key not in BEGINNINGS:
        return 0.0
    group = next((g for g in optimizer.param_groups if any(p is parameter for p in g["params"])), {})
    return float(group.get(BEGINNINGS[key], 0.0))


def _mean_of_kept(here: Tensor, masked: Tensor, parameter: Tensor) -> Tensor:
    kept = torch.stack([torch.where(masked, 0, here).sum(dtype=torch.float64), (~masked).sum().double()])
    everyone = torch.stack([here.sum(dtype=torch.float64), kept.new_tensor(float(here.numel()))])
    kept_sum, kept_count, total, count = add_ranks(torch.cat([kept, everyone]), parameter)
    mean = torch.where(kept_count > 0, kept_sum / kept_count.clamp(min=1), total / count)
    return mean.to(here.dtype)
