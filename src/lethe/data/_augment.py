"""Augmentation on the device: every image of a batch draws its own crop, flip and hole."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

Augmentation: TypeAlias = Callable[[Tensor, torch.Generator], Tensor]
"""From images (B, C, H, W) in [0, 1] to images of the same shape.

Draws come from the generator on its own device and are then moved, so a seed gives the same images anywhere.
"""

GREY = 128 / 255
"""What AMP's script fills crops with."""


def none(x: Tensor, generator: torch.Generator) -> Tensor:
    """Leave the images as they are."""
    return x


def crop_flip(
    x: Tensor, generator: torch.Generator, padding: int = 4, *, fill: float | None = None, flip: bool = True
) -> Tensor:
    """Pad, crop back at a random place, and flip half of the images.

    Args:
        x: images.
        generator: of the places and flips.
        padding: pixels on each side.
        fill: grey level of the padding; None reflects the image, as AWP's CIFAR-10 script does.
        flip: whether to flip.
    """
    b, _, h, w = x.shape
    draw = generator.device
    top, left = torch.randint(2 * padding + 1, (2, b), generator=generator, device=draw).to(x.device)
    rows = top[:, None] + torch.arange(h, device=x.device)
    columns = left[:, None] + torch.arange(w, device=x.device)
    if flip:
        flipped = (torch.rand(b, generator=generator, device=draw) < 0.5).to(x.device)
        columns = torch.where(flipped[:, None], columns.flip(1), columns)
    sides = (padding,) * 4
    padded = F.pad(x, sides, mode="reflect") if fill is None else F.pad(x, sides, value=fill)
    image = torch.arange(b, device=x.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()


def rotate(x: Tensor, generator: torch.Generator, degrees: float) -> Tensor:
    """Turn each image by an angle drawn from [-degrees, degrees]: nearest pixels, black corners."""
    b, _, h, w = x.shape
    drawn = torch.rand(b, generator=generator, device=generator.device).to(x.device)
    angle = (2 * drawn - 1) * math.radians(degrees)
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    # The grid's unit is half a side; the factors keep the turn a turn where the sides differ.
    theta = torch.stack((cos, sin * h / w, zero, -sin * w / h, cos, zero), 1).view(b, 2, 3)
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, mode="nearest", padding_mode="zeros", align_corners=False)


def cutout(x: Tensor, generator: torch.Generator, size: int) -> Tensor:
    """Blacken a square of ``size`` pixels around a random pixel of each image (DeVries and Taylor, 2017).

    At the border the part inside the image is blackened, so holes may be smaller.
    """
    b, _, h, w = x.shape
    draw = generator.device
    y = torch.randint(h, (b,), generator=generator, device=draw).to(x.device)[:, None]
    z = torch.randint(w, (b,), generator=generator, device=draw).to(x.device)[:, None]
    rows, columns = torch.arange(h, device=x.device), torch.arange(w, device=x.device)
    half = size // 2
    in_rows = (rows >= y - half) & (rows < y + half)
    in_columns = (columns >= z - half) & (columns < z + half)
    return x.masked_fill((in_rows[:, :, None] & in_columns[:, None, :])[:, None], 0.0)
