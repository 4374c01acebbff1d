"""How fast a run trains, and how much memory it takes."""

from __future__ import annotations

import sys
import time
from collections import deque

import torch

LATEST = 50
"""Steps that the pace is the mean of."""


class Pace:
    """Images a second, measured over the latest steps; evaluations between epochs are left out.

    Attributes:
        images: training images of an epoch; None: not known, and neither is the pace.
    """

    def __init__(self, images: int | None = None) -> None:
        self.images = images
        self._steps: deque[tuple[float, float]] = deque(maxlen=LATEST)
        self._before: tuple[float, float] | None = None

    def step(self, epochs: float) -> None:
        """So many epochs are done now, fractions included."""
        now = time.monotonic()
        if self._before is not None:
            done, at = self._before
            if epochs > done and not done.is_integer():  # after a whole epoch comes its evaluation
                self._steps.append((epochs - done, now - at))
        self._before = (float(epochs), now)

    def record(self, seconds: float) -> None:
        """An epoch has trained for so long: all there is to go by, where an epoch is a step or two."""
        if not self._steps:
            self._steps.append((1.0, seconds))

    def images_per_second(self) -> float | None:
        """The pace, if it is known by now."""
        seconds = sum(taken for _, taken in self._steps)
        if self.images is None or seconds <= 0:
            return None
        return self.images * sum(share for share, _ in self._steps) / seconds

    def __str__(self) -> str:
        """As it is shown: pace and memory, as far as they are known."""
        rate, memory = self.images_per_second(), peak_memory()
        parts = [] if rate is None else [f"{rate:,.0f} images/s" if rate >= 10 else f"{rate:.2g} images/s"]
        return ", ".join(parts if memory is None else [*parts, f"{memory / 1e9:.1f} GB"])


def peak_memory() -> int | None:
    """The most memory in bytes so far: of the fullest GPU, if one is used, else of this process; None: unknown."""
    devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
    if fullest := max((torch.cuda.max_memory_allocated(device) for device in devices), default=0):
        return fullest
    try:
        import resource  # which Windows does not have
    except ImportError:
        return None
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else largest * 1024
