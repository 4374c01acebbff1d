"""Forget at random: the criterion of FOMO."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lethe._check import fraction as check_fraction
from lethe.forget._select import Select, selected_parameters


def random_mask(
    model: nn.Module,
    fraction: float,
    *,
    select: Select = None,
    generator: torch.Generator | None = None,
) -> dict[str, Tensor]:
    """Choose ``fraction`` of each selected tensor, uniformly at random.

    The count is exact: ``round(fraction · n)`` entries of a tensor with n. Masks are drawn where the generator
    lives (the CPU without one) and moved to the weights, so that a seed gives the same masks on any device.

    Args:
        model: the network.
        fraction: share to forget, in [0, 1]. FOMO: 0.035 (from memory of the paper, unverified).
        select: which parameters may be chosen; default: convolutional and linear weights.
        generator: source of randomness; None is torch's global one.

    Returns:
        ``{parameter name: bool tensor of its shape}``, True = forget.

    Raises:
        LetheError: ``fraction`` outside [0, 1], or ``select`` matches nothing.
    """
    check_fraction("fraction", fraction)
    device = torch.device("cpu") if generator is None else generator.device
    masks = {}
    for name, parameter in selected_parameters(model, select).items():
        count = round(fraction * parameter.numel())
        mask = torch.zeros(parameter.numel(), dtype=torch.bool, device=device)
        mask[torch.randperm(parameter.numel(), generator=generator, device=device)[:count]] = True
        masks[name] = mask.view(parameter.shape).to(parameter.device)
    return masks
