"""Forget the smallest weights."""

from __future__ import annotations

from torch import Tensor, nn

from lethe._check import fraction as check_fraction
from lethe.forget._ranking import lowest
from lethe.forget._select import Select, selected_parameters


def magnitude_mask(model: nn.Module, fraction: float, *, select: Select = None) -> dict[str, Tensor]:
    """Choose the ``fraction`` of the selected weights with the least ``|w|``, in one ranking over all tensors.

    Args:
        model: the network.
        fraction: share to forget, in [0, 1]; ``int(fraction · N)`` weights, and those tied with the last.
        select: which parameters are ranked; default: convolutional and linear weights.

    Returns:
        ``{parameter name: bool tensor of its shape}``, True = forget (the smallest).

    Raises:
        LetheError: ``fraction`` outside [0, 1], a weight that is not finite, or ``select`` matches nothing.
    """
    check_fraction("fraction", fraction)
    return lowest({name: p.detach().abs() for name, p in selected_parameters(model, select).items()}, fraction)
