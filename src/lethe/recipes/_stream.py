"""How the data of an anytime run arrives."""

from __future__ import annotations

from dataclasses import dataclass

from lethe._check import LetheError, at_least
from lethe.anytime._replay import parse_replay


@dataclass(frozen=True, kw_only=True)
class StreamConfig:
    """How the data arrives. The data set's own validation part is empty here: each megabatch has one."""

    megabatches: int = 8
    """How many arrivals."""
    replay: str = "full"
    """What is trained on again: full, none, previous, or a number: a buffer of so many images."""
    holdout: float = 0.1
    """Share of each megabatch that is held out to choose the best epoch on."""

    def __post_init__(self) -> None:
        at_least("megabatches", self.megabatches, 1)
        parse_replay(self.replay)
        if not 0.0 < self.holdout < 1.0:
            raise LetheError(f"holdout must lie between 0 and 1, got {self.holdout}: the best epoch is chosen on it.")
