"""Batch norm's statistics of an averaged network, measured anew."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn


def recompute_statistics(model: nn.Module, images: Iterable[Tensor]) -> None:
    """Replace batch norm's running statistics by their even average over a pass through ``images``.

    Through ``torch.optim.swa_utils.update_bn``; modes are put back, and no gradient is kept.

    Args:
        model: the averaged network.
        images: batches (B, C, H, W) on the network's device, such as it was trained on.
    """
    with torch.no_grad():
        update_bn(images, model)
