"""What comes back from earlier megabatches when a new one arrives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lethe._check import LetheError, at_least, nearest, one_of


class Replay(Protocol):
    """From the indices of the earlier megabatches, oldest first, to those that are trained on again."""

    def recall(self, past: Sequence[Sequence[int]], seed: int) -> list[int]:
        """Indices to replay; the same for the same past and seed."""
        ...

    def scaled(self, ratio: float) -> Replay:
        """The same rule for a split ``ratio`` times as large (a megabatch's validation images)."""
        ...


@dataclass(frozen=True)
class _LastMegabatches:
    """Replay the last ``count`` megabatches, or all."""

    count: int | None

    def recall(self, past: Sequence[Sequence[int]], seed: int) -> list[int]:
        first = 0 if self.count is None else max(0, len(past) - self.count)
        return [index for megabatch in past[first:] for index in megabatch]

    def scaled(self, ratio: float) -> _LastMegabatches:
        return self


@dataclass(frozen=True)
class Buffer:
    """Replay ``size`` images, a uniform sample of everything seen before (reservoir sampling).

    LURE's published buffer differs: at each megabatch it appends 182 draws, so that it grows and may hold doubles.
    """

    size: int

    def __post_init__(self) -> None:
        at_least("the size of a replay buffer", self.size, 1)

    def recall(self, past: Sequence[Sequence[int]], seed: int) -> list[int]:
        """The reservoir after all of ``past`` has gone by; what is kept changes only as new images arrive."""
        generator = np.random.default_rng(seed)
        kept: list[int] = []
        for seen, index in enumerate(index for megabatch in past for index in megabatch):
            slot = int(generator.integers(seen + 1))
            if seen < self.size:
                kept.append(index)
            elif slot < self.size:
                kept[slot] = index
        return kept

    def scaled(self, ratio: float) -> Buffer:
        """A buffer of ``ratio`` times the size, at least 1."""
        return Buffer(max(1, round(ratio * self.size)))


MODES: dict[str, Replay] = {
    "full": _LastMegabatches(None),
    "none": _LastMegabatches(0),
    "previous": _LastMegabatches(1),
}


def replay_rule(replay: str | Replay) -> Replay:
    """The rule that ``replay`` names: full, none, previous, or a rule itself, such as :class:`Buffer`."""
    if not isinstance(replay, str):
        if isinstance(replay, type) or not hasattr(replay, "recall"):
            raise LetheError(f"replay must be one of {', '.join(MODES)} or Buffer(n), got {replay!r}.")
        return replay
    return MODES[one_of("replay", replay, MODES)]


def parse_replay(text: str) -> Replay:
    """The rule that a command line names: full, none, previous, or a number, the size of a buffer."""
    if text.isdigit():
        return Buffer(int(text))
    if text not in MODES:
        known = f"{', '.join(MODES)} or a number, the size of a buffer"
        raise LetheError(f"replay must be {known}; got {text!r}.{nearest(text, MODES)}")
    return MODES[text]
