"""Augmentation on the device: every image of a batch draws its own crop and flip."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

Augmentation: TypeAlias = Callable[[Tensor, torch.Generator], Tensor]
"""From images (B, C, H, W) in [0, 1] to images of the same shape."""


def none(x: Tensor, generator: torch.Generator) -> Tensor:
    """Leave the images as they are."""
    return x


def crop_flip(x: Tensor, generator: torch.Generator, padding: int = 4) -> Tensor:
    """Reflect-pad, crop back at a random place, and flip half of the images, as AWP's CIFAR-10 script does.

    Draws come from the generator on its own device and are then moved, so a seed gives the same images anywhere.
    """
    b, _, h, w = x.shape
    draw = generator.device
    top, left = torch.randint(2 * padding + 1, (2, b), generator=generator, device=draw).to(x.device)
    flip = (torch.rand(b, generator=generator, device=draw) < 0.5).to(x.device)
    rows = top[:, None] + torch.arange(h, device=x.device)
    columns = left[:, None] + torch.arange(w, device=x.device)
    columns = torch.where(flip[:, None], columns.flip(1), columns)
    padded = F.pad(x, (padding,) * 4, mode="reflect")
    image = torch.arange(b, device=x.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()


AUGMENTATIONS: dict[str, Augmentation] = {"none": none, "crop-flip": crop_flip}
