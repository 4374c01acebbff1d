"""How long an average is, in epochs, where nobody has said how many steps one has."""

from __future__ import annotations

from typing import Any


class Span:
    """The decay of a moving average over so many epochs, whose steps it counts in the first one.

    Until they are counted the decay is 1, under which the ramp of :class:`lethe.consolidate.StableModel` averages
    evenly. An average over an epoch or more would do just that in its first epoch: so nothing is lost by not knowing.

    Args:
        epochs: that the average spans, at least 1: ``decay = 1 − 1/updates`` for the updates of so many.
        probability: share of the steps that update it.
    """

    def __init__(self, epochs: float, probability: float) -> None:
        self.epochs, self.probability = epochs, probability
        self._steps, self._counting = 0, True

    @property
    def decay(self) -> float:
        """Of the average, per update."""
        updates = self.epochs * self._steps * self.probability
        return 1.0 if self._counting or updates == 0 else max(0.0, 1.0 - 1.0 / updates)

    def end_step(self) -> None:
        """Count one, in the first epoch."""
        self._steps += self._counting

    def begin_epoch(self) -> None:
        """The first epoch ends where the one begins before which there were steps."""
        self._counting = self._steps == 0

    def state_dict(self) -> dict[str, Any]:
        """Numbers alone."""
        return {"steps": self._steps, "counting": self._counting}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load what :meth:`state_dict` returned."""
        self._steps, self._counting = int(state["steps"]), bool(state["counting"])
