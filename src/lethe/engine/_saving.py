"""When a run saves its state within an epoch, and where it stops."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from lethe._check import LetheError
from lethe.engine._observer import Observer
from lethe.engine._processes import Processes
from lethe.engine._training import Training


class Stopped(KeyboardInterrupt):
    """A run was asked to stop, saved a checkpoint, and did."""


def diverged(loss: float, epoch: int) -> LetheError:
    """What to raise for a loss that is not finite, in this epoch, counted from 1."""
    return LetheError(
        f"the loss is {loss} in epoch {epoch}: training has diverged. Lower --lr, or what perturbs the weights."
    )


class Saving:
    """Saves a run's state after a step when it is time, or when the observer asks for a stop, which it then makes.

    Args:
        write: writes the state; all processes call it at the same step.
        observer: told how far the run is, and asked whether it shall stop.
        minutes: save so often; 0: after each step.
        processes: that agree on it.
    """

    def __init__(self, write: Callable[[], None], observer: Observer, minutes: float, processes: Processes) -> None:
        self._write, self._observer, self._minutes, self._processes = write, observer, minutes, processes
        self._saved = time.monotonic()

    def save(self) -> None:
        """Save now."""
        self._write()
        self._saved = time.monotonic()

    def stops(self) -> bool:
        """Whether any process was asked to stop."""
        return self._processes.agree(self._observer.stop_asked())[0]

    def after_step(self, training: Training, epochs: float) -> None:
        """Told after each step how many epochs are done.

        Raises:
            Stopped: it was asked for; the step is saved.
            LetheError: the loss is not finite, and nothing is saved over the last good state.
        """
        self._observer.step(epochs)
        due = time.monotonic() - self._saved >= 60 * self._minutes
        stop, due = self._processes.agree(self._observer.stop_asked(), due)
        if not (stop or due):
            return
        progress = training.progress
        if progress is not None:
            loss = progress.mean_loss(self._processes.sum)
            if not math.isfinite(loss):
                raise diverged(loss, training.epoch + 1)
        self.save()
        if stop:
            raise Stopped
