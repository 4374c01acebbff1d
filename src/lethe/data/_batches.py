"""Cut an image set into batches: on its device, or decoded on the way there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from lethe._check import LetheError
from lethe.data._augment import Augmentation, none
from lethe.data._image_set import ImageSet, as_float
from lethe.data._random_resized_crop import RandomResizedCrop
from lethe.data._streamed_set import StreamedSet


def batches(
    data: ImageSet,
    size: int,
    *,
    shuffle: torch.Generator | None = None,
    augment: Augmentation = none,
    order: Tensor | None = None,
    skip: int = 0,
    rank: int = 0,
    ranks: int = 1,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield images (B, C, H, W), float32 in [0, 1], and labels (B,); the last batch may be smaller.

    Args:
        data: the set, in memory or streamed.
        size: images in a batch.
        shuffle: draw a new order, and the augmentation, from this generator; None keeps the order.
        augment: applied when shuffling.
        order: with ``shuffle`` the order to take, which is then not drawn.
        skip: leave out so many batches at the beginning, and what their augmentation would draw.
        rank: which part of each batch to yield (:func:`part_of`); augmentation draws for the whole batch.
        ranks: of how many parts.

    A last batch of a single image, or of fewer than two a rank, is joined to the one before: batch norm cannot train
    on one. How many batches there are, says :func:`steps_per_epoch`.

    Raises:
        LetheError: the set is empty, or a file of a streamed set is damaged.
    """
    count = len(data)
    if count == 0:
        raise LetheError("there is no image in this set to cut into batches.")
    if order is None and shuffle is not None:
        order = draw_order(count, shuffle)
    if order is not None:
        order = order.to(data.labels.device)
    spans = [slice(start, stop) for start, stop in cut(count, size, ranks)[skip:]]
    places = [span if order is None else order[span] for span in spans]
    rows = [part_of(span.stop - span.start, rank, ranks) for span in spans]
    for at, mine, x in zip(places, rows, _images(data, places, rows, shuffle, augment), strict=True):
        yield _plainly_laid_out(x), data.labels[at][mine]


def cut(count: int, size: int, ranks: int = 1) -> list[tuple[int, int]]:
    """Where each batch of ``count`` images begins and where it ends."""
    starts = list(range(0, count, size))
    if len(starts) > 1 and count - starts[-1] < 2 * ranks:
        starts.pop()
    return list(zip(starts, [*starts[1:], count], strict=True))


def part_of(count: int, rank: int, ranks: int) -> slice:
    """The rows of a batch that belong to this rank: all ranks have as many, or one more."""
    return slice(count * rank // ranks, count * (rank + 1) // ranks)


def steps_per_epoch(count: int, size: int, ranks: int = 1) -> int:
    """How many batches of ``size`` images :func:`batches` makes of ``count`` images."""
    return len(cut(count, size, ranks))


def draw_order(count: int, generator: torch.Generator) -> Tensor:
    """The order of an epoch's images."""
    return torch.randperm(count, generator=generator, device=generator.device)


def _images(
    data: ImageSet,
    places: Sequence[slice | Tensor],
    rows: Sequence[slice],
    shuffle: torch.Generator | None,
    augment: Augmentation,
) -> Iterator[Tensor]:
    """These rows of the batches' images, augmented if they are shuffled, as the whole batch would be.

    Crops from files are made where these are decoded, and only this part's files are read; with another augmentation,
    which draws for the whole batch, all of them.
    """
    stored: Iterator[Tensor]
    if not isinstance(data, StreamedSet):
        stored = (data.images[at] for at in places)
    else:
        everything = torch.arange(len(data))
        positions = [everything[at if isinstance(at, slice) else at.cpu()].tolist() for at in places]
        if shuffle is None or isinstance(augment, RandomResizedCrop):
            crop = augment if isinstance(augment, RandomResizedCrop) and shuffle is not None else None
            yield from map(as_float, data.read(positions, crop, shuffle, rows))
            return
        stored = data.read(positions)
    for images, mine in zip(stored, rows, strict=True):
        x = as_float(images)
        yield (x if shuffle is None else augment(x, shuffle))[mine]


def _plainly_laid_out(x: Tensor) -> Tensor:
    """The images with a contiguous tensor's own strides.

    With one channel other strides count as contiguous, too, and torch takes some of them for channels-last, in which
    the CPU's convolutions cannot be trusted with every network (see ``lethe.models.channels_last``).
    """
    _, c, h, w = x.shape
    return x if x.stride() == (c * h * w, h * w, w, 1) else torch.empty(x.shape, device=x.device).copy_(x)
