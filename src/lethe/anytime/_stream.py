"""A data set that arrives in megabatches."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch.utils.data import Dataset, Subset

from lethe._check import LetheError, at_least
from lethe.anytime._replay import Replay, replay_rule


@dataclass(frozen=True)
class Megabatch:
    """One arrival.

    Attributes:
        index: its number, from 0.
        train: images to train on: the new ones first, then what is replayed.
        validation: images to choose on, replayed by the same rule; never trained on, now or later.
        new: the training images that arrived with this megabatch.
    """

    index: int
    train: Subset[Any]
    validation: Subset[Any]
    new: Subset[Any]


class MegabatchStream:
    """Cut a data set into megabatches that arrive one after the other (ALMA, arXiv 2106.09563; LURE, TMLR 2023).

    Example::

        for megabatch in MegabatchStream(dataset, 8, replay="full"):
            train(model, megabatch.train, megabatch.validation)

    Args:
        dataset: a map-style data set (it has a length and is indexed by integers).
        megabatches: how many; their sizes differ by one at most.
        replay: ``"full"``: all earlier images are trained on again; ``"none"``; ``"previous"``: those of the
            megabatch before; :class:`Buffer`: a fixed number, sampled.
        validation: share of each megabatch that is held out, in [0, 1).
        seed: of the permutation and of what a buffer keeps. None: the order of the data set, with the validation
            images at its end, as in LURE's code.

    Iterating again gives the same stream. ``len(stream)`` is the number of megabatches.

    Raises:
        LetheError: a value out of range, or more megabatches than images.
    """

    def __init__(
        self,
        dataset: Dataset[Any],
        megabatches: int,
        *,
        replay: str | Replay = "full",
        validation: float = 0.1,
        seed: int | None = 0,
    ) -> None:
        at_least("megabatches", megabatches, 1)
        if not 0.0 <= validation < 1.0:
            raise LetheError(f"validation must lie in [0, 1), got {validation}: it is a share of each megabatch.")
        if not isinstance(dataset, Sized) or not hasattr(dataset, "__getitem__"):
            raise LetheError("a stream needs a data set with a length and items by index, not an iterable or a loader.")
        count = len(dataset)
        trained = int((1.0 - validation) * count + 1e-9)
        if trained < megabatches:
            raise LetheError(
                f"{count} images leave {trained} for training, too few for {megabatches} megabatches: "
                "ask for fewer, or hold out less."
            )
        self.dataset = dataset
        self.replay = replay_rule(replay)
        self.validation_share, self.seed = validation, seed
        order = np.arange(count) if seed is None else np.random.default_rng(seed).permutation(count)
        self._train = [part.tolist() for part in np.array_split(order[:trained], megabatches)]
        self._validation = [part.tolist() for part in np.array_split(order[trained:], megabatches)]

    def __len__(self) -> int:
        return len(self._train)

    def __iter__(self) -> Iterator[Megabatch]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Megabatch:
        """Megabatch number ``index``, from 0, with what is replayed at that time."""
        if not 0 <= index < len(self):
            raise IndexError(f"megabatch {index} of {len(self)}")
        seed = 0 if self.seed is None else self.seed
        smaller = self.replay.scaled(self.validation_share / (1.0 - self.validation_share))
        new, held_out = self._train[index], self._validation[index]
        return Megabatch(
            index,
            train=Subset(self.dataset, new + self.replay.recall(self._train[:index], seed)),
            validation=Subset(self.dataset, held_out + smaller.recall(self._validation[:index], seed)),
            new=Subset(self.dataset, new),
        )
