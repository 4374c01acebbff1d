"""Which images arrive in which megabatch, and which of them are held out."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lethe._check import LetheError

Indices: TypeAlias = "NDArray[np.int64]"


def trained_of(count: int, validation: float) -> int:
    """How many of ``count`` images are trained on, where a share of them is held out."""
    return int((1.0 - validation) * count + 1e-9)


def in_so_many(order: Indices, megabatches: int, validation: float) -> tuple[list[Indices], list[Indices]]:
    """Training and validation images of each megabatch: these come from the end of the order."""
    trained = trained_of(len(order), validation)
    if trained < megabatches:
        raise LetheError(
            f"{len(order)} images leave {trained} for training, too few for {megabatches} megabatches: "
            "ask for fewer, or hold out less."
        )
    return np.array_split(order[:trained], megabatches), np.array_split(order[trained:], megabatches)


def of_size(order: Indices, size: int, validation: float) -> tuple[list[Indices], list[Indices]]:
    """The same for megabatches of so many images, as LURE's code cuts: the rest is left out."""
    megabatches, trained = how_many(len(order), size, validation)
    held_out = size - trained
    # The validation images begin where those of the whole set would, or before, where rounding asks for more of them.
    first = min(trained_of(len(order), validation), len(order) - megabatches * held_out)
    parts = []
    for begin, length in ((0, trained), (first, held_out)):
        parts.append([order[begin + index * length : begin + (index + 1) * length] for index in range(megabatches)])
    return parts[0], parts[1]


def how_many(count: int, size: int, validation: float) -> tuple[int, int]:
    """How many whole megabatches of this size there are, and how many images of each are trained on."""
    megabatches, trained = count // size, trained_of(size, validation)
    if megabatches == 0 or trained == 0:
        raise LetheError(
            f"megabatches of {size} images, {trained} of them for training, cannot be cut from {count}: "
            "choose another megabatch size, or hold out less."
        )
    return megabatches, trained


def balanced(
    order: Indices, labels: Indices, size: int | None, megabatches: int, validation: float
) -> tuple[list[Indices], list[Indices]]:
    """The same, but each class is shared out evenly: its numbers in two megabatches differ by one at most.

    The images, sorted by class, are dealt like cards; of every class the same share is held out. Within a megabatch
    they keep their order.

    Args:
        order: of arrival.
        labels: of each image of the data set, not of the order.
        size: of a megabatch; then so many images of each class as there is no room for are left out, evenly.
        megabatches: how many, if no size is given.
        validation: share that is held out.
    """
    by_class = order[np.argsort(labels[order], kind="stable")]
    trained = trained_of(len(order), validation)
    if size is not None:
        megabatches, of_each = how_many(len(order), size, validation)
        by_class, trained = by_class[_evenly(len(order), megabatches * size)], megabatches * of_each
    elif trained < megabatches:
        in_so_many(order, megabatches, validation)  # which says so
    train = _evenly(len(by_class), trained)
    place = np.empty(labels.shape, dtype=np.int64)
    place[order] = np.arange(len(order))
    dealt = [[part[index::megabatches] for index in range(megabatches)] for part in (by_class[train], by_class[~train])]
    first, second = ([hand[np.argsort(place[hand])] for hand in hands] for hands in dealt)
    return first, second


def _evenly(count: int, chosen: int) -> NDArray[np.bool_]:
    """A mask of ``count`` entries with ``chosen`` of them set, evenly spaced: any stretch has its share, to one."""
    marks = np.arange(count + 1, dtype=np.int64) * chosen // count
    return marks[1:] > marks[:-1]


def first_of_each(indices: Indices, labels: Indices, shots: int) -> Indices:
    """The first ``shots`` images of each class, in their order."""
    chosen = [indices[labels[indices] == label][:shots] for label in np.unique(labels[indices])]
    kept = np.isin(indices, np.concatenate(chosen)) if chosen else np.zeros(len(indices), dtype=bool)
    return indices[kept]
