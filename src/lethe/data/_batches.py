"""Cut an image set into batches, without leaving the device."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from lethe._check import LetheError
from lethe.data._augment import Augmentation, none
from lethe.data._image_set import ImageSet, as_float


def batches(
    data: ImageSet,
    size: int,
    *,
    shuffle: torch.Generator | None = None,
    augment: Augmentation = none,
    order: Tensor | None = None,
    skip: int = 0,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield images (B, C, H, W), float32 in [0, 1], and labels (B,); the last batch may be smaller.

    Args:
        data: the set.
        size: images in a batch.
        shuffle: draw a new order, and the augmentation, from this generator; None keeps the order.
        augment: applied when shuffling.
        order: with ``shuffle`` the order to take, which is then not drawn.
        skip: leave out so many batches at the beginning, and what their augmentation would draw.

    How many there are, says :func:`steps_per_epoch`.
    """
    count = len(data)
    if count == 0:
        raise LetheError("there is no image in this set to cut into batches.")
    if order is None and shuffle is not None:
        order = draw_order(count, shuffle)
    if order is not None:
        order = order.to(data.labels.device)
    starts = [number * size for number in range(steps_per_epoch(count, size))]
    for start, stop in list(zip(starts, [*starts[1:], count], strict=True))[skip:]:
        at = slice(start, stop) if order is None else order[start:stop]
        x = as_float(data.images[at])
        yield _plainly_laid_out(x if shuffle is None else augment(x, shuffle)), data.labels[at]


def steps_per_epoch(count: int, size: int) -> int:
    """How many batches of ``size`` images :func:`batches` makes of ``count`` images.

    A last batch of a single image is joined to the one before: batch norm cannot train on one.
    """
    steps = -(-count // size)
    return steps - 1 if steps > 1 and count - (steps - 1) * size == 1 else steps


def draw_order(count: int, generator: torch.Generator) -> Tensor:
    """The order of an epoch's images."""
    return torch.randperm(count, generator=generator, device=generator.device)


def _plainly_laid_out(x: Tensor) -> Tensor:
    """The images with a contiguous tensor's own strides.

    With one channel other strides count as contiguous, too, and torch takes some of them for channels-last, in which
    the CPU's convolutions cannot be trusted with every network (see ``lethe.models.channels_last``).
    """
    _, c, h, w = x.shape
    return x if x.stride() == (c * h * w, h * w, w, 1) else torch.empty(x.shape, device=x.device).copy_(x)
