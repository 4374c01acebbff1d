"""What comes back from earlier megabatches when a new one arrives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lethe._check import LetheError, at_least, nearest


class Replay(Protocol):
    """From the indices of the earlier megabatches, oldest first, to those that are trained on again.

    The rules of this module never recall an image that they had let go of before: a stream of files need not keep it.
    """

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

    LURE's published buffer differs: see :class:`GrowingBuffer`.
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


@dataclass(frozen=True)
class GrowingBuffer:
    """The buffer of LURE's code, which grows by ``draws`` images a megabatch and may hold an image more than once.

    After each megabatch so many images are drawn, without replacement, from its own and those in the buffer, and
    appended to the buffer: after t megabatches it holds t times as many, those that were drawn early most often. The
    code draws the validation images' buffer likewise and, unless told otherwise, as large; so it is here.

    Source: ``buffer_replay`` in ``dataset.py`` of NeurAI-Lab/LURE. It samples with Python's global generator, here the
    stream's seed decides. Use :class:`Buffer` for a memory that is bounded.
    """

    draws: int = 182

    def __post_init__(self) -> None:
        at_least("the draws of a growing buffer", self.draws, 1)

    def recall(self, past: Sequence[Sequence[int]], seed: int) -> list[int]:
        """What the buffer holds after all of ``past`` has gone by.

        Raises:
            LetheError: the first megabatch has fewer images than are to be drawn, where the published code crashes.
        """
        generator = np.random.default_rng(seed)
        kept: list[int] = []
        for megabatch in past:
            pool = [*megabatch, *kept]
            if len(pool) < self.draws:
                raise LetheError(
                    f"the published buffer draws {self.draws} images from the training, and from the validation part "
                    f"of a megabatch, and one has {len(pool)} (their code crashes here): ask for larger megabatches, "
                    "fewer draws (published-buffer:20), or another replay."
                )
            kept += [pool[at] for at in generator.choice(len(pool), self.draws, replace=False).tolist()]
        return kept

    def scaled(self, ratio: float) -> Replay:
        """The same buffer, as in the published code; none, where there is nothing to draw from."""
        return self if ratio > 0 else MODES["none"]


MODES: dict[str, Replay] = {
    "full": _LastMegabatches(None),
    "none": _LastMegabatches(0),
    "previous": _LastMegabatches(1),
}


PUBLISHED = "published-buffer"


def replay_rule(replay: str | Replay) -> Replay:
    """The rule that ``replay`` names, as :func:`parse_replay` does, or a rule itself, such as :class:`Buffer`."""
    if isinstance(replay, str):
        return parse_replay(replay)
    if isinstance(replay, type) or not hasattr(replay, "recall"):
        raise LetheError(f"replay must be one of {', '.join(MODES)}, {PUBLISHED} or Buffer(n), got {replay!r}.")
    return replay


def parse_replay(text: str) -> Replay:
    """The rule that a command line names.

    full, none, previous; a number, the size of a buffer; or published-buffer, with the number of its draws behind a
    colon where it is not 182.
    """
    name, colon, draws = text.partition(":")
    if text.isdecimal():
        return Buffer(int(text))
    if name == PUBLISHED and (draws.isdecimal() or not colon):
        return GrowingBuffer(int(draws)) if colon else GrowingBuffer()
    if text not in MODES:
        known = f"{', '.join(MODES)}, a number, the size of a buffer, or {PUBLISHED}"
        raise LetheError(f"replay must be {known}; got {text!r}.{nearest(text, [*MODES, PUBLISHED])}")
    return MODES[text]
