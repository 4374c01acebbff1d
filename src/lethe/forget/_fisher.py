"""Forget the weights that the loss is least curved along, by the diagonal of the empirical Fisher information."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from lethe._check import fraction as check_fraction
from lethe.forget._gradients import batch_gradients
from lethe.forget._ranking import lowest
from lethe.forget._select import Select, selected_parameters


def fisher_mask(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    fraction: float,
    *,
    select: Select = None,
    loss: Callable[[Tensor, Tensor], Tensor] = cross_entropy,
) -> dict[str, Tensor]:
    """Choose the ``fraction`` of the selected weights with the least ``Σ_images (∂L/∂w)²``, over all tensors together.

    The gradients are those of single images, one backward pass each: the square of a batch's mean gradient would be
    something else. The network is left as it was.

    Args:
        model: the network.
        batches: pairs of images (B, C, H, W) and labels (B,), anywhere; they are moved to the weights' device.
        fraction: share to forget, in [0, 1]; ``int(fraction · N)`` weights, and those tied with the last.
        select: which parameters are ranked; default: convolutional and linear weights. Frozen ones are left out.
        loss: from logits (1, K) and labels (1,) to a scalar.

    Returns:
        ``{parameter name: bool tensor of its shape}``, True = forget (the least informative).

    Raises:
        LetheError: as :func:`lethe.forget.snip_mask`.
    """
    check_fraction("fraction", fraction)
    selected = selected_parameters(model, select)
    chosen = {name: p for name, p in selected.items() if p.requires_grad} or selected
    totals = {name: torch.zeros_like(p) for name, p in chosen.items()}
    for gradients in batch_gradients(model, chosen, batches, loss, per_image=True):
        for total, gradient in zip(totals.values(), gradients, strict=True):
            total += gradient.square()
    return lowest(totals, fraction)
