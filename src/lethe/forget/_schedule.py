"""When to forget: from an epoch on, or as soon as overfitting shows."""

from __future__ import annotations

import math
from typing import Any

from lethe._check import LetheError, at_least, whole


class ForgettingSchedule:
    """Due in epoch ``start`` and each ``period`` epochs from then on.

    With ``start="auto"`` forgetting begins when overfitting has set in: when the validation accuracy has not risen
    above its best for ``patience`` observations in a row, and was below it in one of them at least: a network that
    has not begun to learn stays where it is. Neither paper nor peer has this rule.

    Args:
        start: first epoch, counted from 0; or ``"auto"``.
        period: epochs from one forgetting to the next, at least 1.
        patience: of the automatic start, in observations, at least 1.

    Attributes:
        start: the epoch, None as long as it is not known.
        period: as given.
        patience: as given.

    Raises:
        LetheError: a value out of range, or no whole number.
    """

    def __init__(self, start: int | str, period: int, patience: int) -> None:
        if isinstance(start, str) and start != "auto":
            raise LetheError(f"start must be an epoch, counted from 0, or 'auto', got {start!r}.")
        if isinstance(start, (bool, float)):
            raise LetheError(f"start is a whole epoch or 'auto', got {start}: shares are the command line's.")
        self.automatic = start == "auto"
        self.start = None if isinstance(start, str) else int(at_least("start", start, 0))
        self.period, self.patience = whole("period", period, 1), whole("patience", patience, 1)
        self._best, self._since_best, self._fell, self.observations = -float("inf"), 0, False, 0

    def due(self, epoch: int) -> bool:
        """Whether this epoch begins with a forgetting."""
        return self.start is not None and epoch >= self.start and (epoch - self.start) % self.period == 0

    def observe(self, accuracy: float, epoch: int) -> None:
        """Take note of the validation accuracy after this epoch; of use to the automatic start alone.

        Raises:
            LetheError: it is not a number.
        """
        accuracy = float(accuracy)  # a tensor's may be written over, and a checkpoint holds plain numbers alone
        if math.isnan(accuracy):
            raise LetheError("the validation accuracy is nan: observe() needs a number, in [0, 1] or in percent.")
        self.observations += 1
        if accuracy > self._best:
            self._best, self._since_best, self._fell = accuracy, 0, False
        else:
            self._since_best, self._fell = self._since_best + 1, self._fell or accuracy < self._best
        if self.automatic and self.start is None and self._fell and self._since_best >= self.patience:
            self.start = epoch + 1

    def state_dict(self) -> dict[str, Any]:
        """Numbers alone."""
        return {
            "start": self.start,
            "best": self._best,
            "since_best": self._since_best,
            "fell": self._fell,
            "observations": self.observations,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load what :meth:`state_dict` returned; a start that was given stays as it was given."""
        if self.automatic:
            self.start = state["start"]
        self._best, self._since_best = float(state["best"]), int(state["since_best"])
        self._fell, self.observations = bool(state["fell"]), int(state["observations"])
