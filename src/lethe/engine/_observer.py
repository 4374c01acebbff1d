"""Who watches a run."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any


class Observer:
    """Told how a run goes. This one looks away; a progress bar or a live table overrides what it needs."""

    def begin(self, title: str, epochs: int | None, where: Path | None = None) -> None:
        """A run begins, in this folder (after a resume the first ``step`` says how far it is).

        Args:
            title: of the run.
            epochs: how many it has; None: nobody knows.
            where: its folder.
        """

    def megabatch(self, number: int, expected: int | None) -> None:
        """A megabatch is there, the so manieth, from 1, of so many; None: nobody knows of how many."""

    def images(self, count: int) -> None:
        """Each of the epochs to come trains on so many images."""

    def step(self, epochs: float) -> None:
        """So many epochs are done, fractions included."""

    def record(self, record: dict[str, Any]) -> None:
        """A line has been added to the run's metrics."""

    def stop_asked(self) -> bool:
        """Whether the run shall save a checkpoint and stop, asked after each step."""
        return False

    def say(self, message: str) -> None:
        """A line that the user should see; here a warning of the logger ``lethe``."""
        logging.getLogger("lethe").warning(message)

    def end(self, message: str) -> None:
        """The run is over."""


class Silent(Observer):
    """Of a process beside the first: shows and says nothing, but hears when it is asked to stop.

    Args:
        observer: what the process was given.
    """

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def stop_asked(self) -> bool:
        """A signal may reach one process alone; all then stop together."""
        return self._observer.stop_asked()

    def say(self, message: str) -> None:
        """Not once more."""
