"""Forget the smallest weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lethe._check import fraction as check_fraction
from lethe.forget._ranking import lowest_units
from lethe.forget._score import Score
from lethe.forget._select import Select, selected_parameters


def magnitude_mask(
    model: nn.Module,
    fraction: float,
    *,
    select: Select = None,
    granularity: str = "weights",
    count: str = "overall",
    ties: str = "all",
) -> dict[str, Tensor]:
    """Choose the ``fraction`` of the selected weights with the least ``|w|``, in one ranking over all tensors.

    Args:
        model: the network.
        fraction: share to forget, in [0, 1]; ``int(fraction · N)`` weights, and those tied with the last.
        select: which parameters are ranked; default: convolutional and linear weights.
        granularity: ``"weights"``, or ``"channels"`` or ``"layers"``, ranked by the mean of their weights' scores.
        count: ``"overall"``, or ``"per-tensor"``: the share of each tensor, ranked by itself.
        ties: at the threshold ``"all"`` go, or the ``"first"`` in the network's order, which makes the count exact.

    Returns:
        ``{parameter name: bool tensor of its shape}``, True = forget (the smallest).

    Raises:
        LetheError: ``fraction`` outside [0, 1], a weight that is not finite, an unknown option, or ``select`` matches
            nothing.
    """
    check_fraction("fraction", fraction)
    selected = selected_parameters(model, select)
    scores = {name: Score((p.detach(),), torch.abs) for name, p in selected.items()}
    return lowest_units(model, selected, scores, fraction, granularity=granularity, count=count, ties=ties)
