"""A data set that arrives in megabatches."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from lethe._check import LetheError, at_least
from lethe._check import seed as check_seed
from lethe.anytime import _split
from lethe.anytime._labels import labels_of
from lethe.anytime._megabatch import Megabatch, with_replay
from lethe.anytime._replay import Replay, replay_rule


class MegabatchStream:
    """Cut a data set into megabatches that arrive one after the other (ALMA, arXiv 2106.09563; LURE, TMLR 2023).

    Example::

        for megabatch in MegabatchStream(dataset, 8, replay="full", validation_dataset=without_augmentation):
            train(model, megabatch.train, megabatch.validation)

    Where the published code (``dataset.py`` of NeurAI-Lab/LURE) differs: it chooses on augmented images, which here are
    ``validation_dataset``'s own; and its few-shot data are the first n images of each class of the whole set, which is
    then cut, where here each megabatch has so many.

    Args:
        dataset: a map-style data set (it has a length and is indexed by integers).
        megabatches: how many; their sizes differ by one at most.
        replay: ``"full"``: all earlier images are trained on again; ``"none"``; ``"previous"``: those of the
            megabatch before; :class:`Buffer`: a fixed number, sampled; :class:`GrowingBuffer`: as published.
        validation: share of each megabatch that is held out, in [0, 1).
        seed: of the permutation and of what a buffer keeps. None: the order of the data set, with the validation
            images at its end, as in LURE's code.
        megabatch_size: in place of it, how many images arrive at a time, training and validation images together, as
            LURE's ``meta_batch_size``. Images that do not fill a last megabatch are left out: see :attr:`left_out`.
        shots: keep, of each megabatch's training images and of its validation images, the first so many of each
            class, in the order of the stream; None: all. It needs labels.
        balanced: whether each megabatch has each class's share, to one image; the validation images come from the
            whole order then. It needs labels: ``dataset.targets`` or ``dataset.labels``.
        validation_dataset: the same images in the same order, but as they are tested, without augmentation: what
            :attr:`Megabatch.validation` is a subset of. None: ``dataset``.

    Iterating again gives the same stream. ``len(stream)`` is the number of megabatches.

    Attributes:
        left_out: number of images that never arrive: beyond the last whole megabatch, or more than ``shots``.

    Raises:
        LetheError: a value out of range, more megabatches than images, no labels where they are needed, or too few
            images for the published buffer.
    """

    def __init__(
        self,
        dataset: Dataset[Any],
        megabatches: int | None = None,
        *,
        replay: str | Replay = "full",
        validation: float = 0.1,
        seed: int | None = 0,
        megabatch_size: int | None = None,
        shots: int | None = None,
        balanced: bool = False,
        validation_dataset: Dataset[Any] | None = None,
    ) -> None:
        if (megabatches is None) == (megabatch_size is None):
            raise LetheError("a stream needs the number of its megabatches or their size: give one of the two.")
        for name, value in (("megabatches", megabatches), ("megabatch_size", megabatch_size), ("shots", shots)):
            if value is not None:
                at_least(name, value, 1)
        if not 0.0 <= validation < 1.0:
            raise LetheError(f"validation must lie in [0, 1), got {validation}: it is a share of each megabatch.")
        count = _length(dataset)
        self.dataset = dataset
        self.validation_dataset = dataset if validation_dataset is None else validation_dataset
        if (other := _length(self.validation_dataset)) != count:
            raise LetheError(
                f"validation_dataset has {other} images, dataset {count}: it must hold the same ones, in their order."
            )
        self.replay = replay_rule(replay)
        self.validation_share, self.seed = validation, None if seed is None else check_seed("seed", seed)
        order = np.arange(count) if seed is None else np.random.default_rng(seed).permutation(count)
        labels = labels_of(dataset, count) if balanced or shots is not None else None
        if balanced and labels is not None:
            parts = _split.balanced(order, labels, megabatch_size, megabatches or 1, validation)
        elif megabatch_size is not None:
            parts = _split.of_size(order, megabatch_size, validation)
        else:
            parts = _split.in_so_many(order, megabatches or 1, validation)
        if shots is not None and labels is not None:
            first, second = ([_split.first_of_each(hand, labels, shots) for hand in part] for part in parts)
            parts = first, second
        self._train, self._validation = ([hand.tolist() for hand in part] for part in parts)
        self.left_out = count - sum(len(hand) for part in parts for hand in part)
        if len(self) > 1:
            self[1]  # a buffer that the first megabatch is too small for says so now

    def __len__(self) -> int:
        return len(self._train)

    def __iter__(self) -> Iterator[Megabatch]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Megabatch:
        """Megabatch number ``index``, from 0, with what is replayed at that time."""
        if not 0 <= index < len(self):
            raise IndexError(f"megabatch {index} of {len(self)}")
        datasets = self.dataset, self.validation_dataset
        train, validation = self._train[: index + 1], self._validation[: index + 1]
        return with_replay(train, validation, datasets, self.replay, self.validation_share, self.seed)


def _length(dataset: Dataset[Any]) -> int:
    if not isinstance(dataset, Sized) or not hasattr(dataset, "__getitem__"):
        raise LetheError("a stream needs a data set with a length and items by index, not an iterable or a loader.")
    return len(dataset)
