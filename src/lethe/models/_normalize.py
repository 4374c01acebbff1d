"""Normalisation as the first layer of a network, so that attacks work in the range of images."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Normalize(nn.Module):
    """Subtract the mean and divide by the deviation of each channel: (B, C, H, W) to the same shape.

    Args:
        mean: of each channel, of images in [0, 1].
        std: likewise.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise."""
        return (x - self.mean) / self.std
