"""One arrival, and what is replayed with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch.utils.data import Dataset, Subset

from lethe.anytime._replay import Replay


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


def with_replay(
    train: Sequence[list[int]],
    validation: Sequence[list[int]],
    datasets: tuple[Dataset[Any], Dataset[Any]],
    replay: Replay,
    share: float,
    seed: int | None,
) -> Megabatch:
    """The last megabatch, and what is replayed of those before it.

    Args:
        train: training images of each megabatch so far.
        validation: its validation images.
        datasets: that these are indices into: to train on, and to choose on.
        replay: of the training images; of the validation images as much for their number.
        share: of a megabatch's images that are held out.
        seed: of what a buffer keeps; None: 0.
    """
    seed, smaller = seed or 0, replay.scaled(share / (1.0 - share))
    new, held_out = train[-1], validation[-1]
    return Megabatch(
        len(train) - 1,
        train=Subset(datasets[0], new + replay.recall(train[:-1], seed)),
        validation=Subset(datasets[1], held_out + smaller.recall(validation[:-1], seed)),
        new=Subset(datasets[0], new),
    )
