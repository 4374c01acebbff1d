"""What an optimizer remembers of forgotten weights."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.optim import Optimizer

from lethe._check import LetheError, one_of
from lethe._shards import add_ranks, local

STATES = ("clear", "keep", "mean")
SCALES = ("exp_avg_sq", "max_exp_avg_sq", "exp_inf", "square_avg", "sum", "acc_delta")
"""Names under which torch's optimizers keep how large gradients are, by which a step is divided."""


def check_state(state: str) -> None:
    """Raise where there is no such choice."""
    one_of("state", state, STATES)


def forget_state(optimizer: Optimizer, parameter: Tensor, mask: Tensor, state: str) -> None:
    """Clear, keep, or even out the optimizer's state of the masked entries; the others keep their bits.

    Args:
        optimizer: torch's, or one of Lethe's.
        parameter: whose state.
        mask: of its shape and sharding, True = forgotten.
        state: ``"clear"``: 0. ``"keep"``: nothing is done. ``"mean"``: directions (momentum, first moments) become 0,
            but scales (second moments) the mean of those that are kept, or of all if none is.
    """
    if state == "keep":
        return
    for key, value in optimizer.state.get(parameter, {}).items():
        if key != "step" and isinstance(value, Tensor) and value.shape == parameter.shape:
            here, masked = local([value, mask])
            if here.shape != masked.shape:
                raise LetheError(
                    f"the optimizer's {key!r} of a sharded weight is sharded otherwise: take state='keep'."
                )
            if state == "mean" and key in SCALES:
                here.copy_(torch.where(masked, _mean_of_kept(here, masked, parameter), here))
            else:
                here.masked_fill_(masked, 0)


def _mean_of_kept(here: Tensor, masked: Tensor, parameter: Tensor) -> Tensor:
    kept = torch.stack([torch.where(masked, 0, here).sum(dtype=torch.float64), (~masked).sum().double()])
    everyone = torch.stack([here.sum(dtype=torch.float64), kept.new_tensor(float(here.numel()))])
    kept_sum, kept_count, total, count = add_ranks(torch.cat([kept, everyone]), parameter)
    mean = torch.where(kept_count > 0, kept_sum / kept_count.clamp(min=1), total / count)
    return mean.to(here.dtype)
