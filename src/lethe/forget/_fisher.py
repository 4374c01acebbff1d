"""Forget the weights that the loss is least curved along, by the diagonal of the empirical Fisher information."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from lethe._check import fraction as check_fraction
from lethe.forget._gradients import summed_gradients
from lethe.forget._ranking import lowest_units
from lethe.forget._score import Score
from lethe.forget._select import Select, selected_parameters


def fisher_mask(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    fraction: float,
    *,
    select: Select = None,
    loss: Callable[[Tensor, Tensor], Tensor] = cross_entropy,
    granularity: str = "weights",
    count: str = "overall",
    ties: str = "all",
) -> dict[str, Tensor]:
    """Choose the ``fraction`` of the selected weights with the least ``Σ_images (∂L/∂w)²``, over all tensors together.

    The gradients are those of single images, one backward pass each: the square of a batch's mean gradient would be
    something else. The network is left as it was. Under FSDP2 all ranks must be given the same images, since the
    gradient that it hands out is the ranks' mean.

    Args:
        model: the network.
        batches: pairs of images (B, C, H, W) and labels (B,), anywhere; they are moved to the weights' device.
        fraction: share to forget, in [0, 1]; ``int(fraction · N)`` weights, and those tied with the last.
        select: which parameters are ranked; default: convolutional and linear weights. Frozen ones are left out.
        loss: from logits (1, K) and labels (1,) to a scalar.
        granularity: ``"weights"``, or ``"channels"`` or ``"layers"``, ranked by the mean of their weights' scores.
        count: ``"overall"``, or ``"per-tensor"``: the share of each tensor, ranked by itself.
        ties: at the threshold ``"all"`` go, or the ``"first"`` in the network's order, which makes the count exact.

    Returns:
        ``{parameter name: bool tensor of its shape}``, True = forget (the least informative).

    Raises:
        LetheError: as :func:`lethe.forget.snip_mask`.
    """
    check_fraction("fraction", fraction)
    selected = selected_parameters(model, select)
    totals = summed_gradients(model, selected, batches, loss, _power, per_image=True)
    chosen = {name: selected[name] for name in totals}
    scores = {name: Score((total,), torch.abs) for name, total in totals.items()}  # complex ones become real
    return lowest_units(model, chosen, scores, fraction, granularity=granularity, count=count, ties=ties)


def _power(gradient: Tensor) -> Tensor:
    return gradient.abs().square() if gradient.is_complex() else gradient.square()
