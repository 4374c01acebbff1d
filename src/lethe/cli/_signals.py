"""SIGINT and SIGTERM: save and stop; a second one ends the process at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    """While this is entered, the first of these signals is remembered, and the second ends the process at once.

    Attributes:
        received: the signal that came; None: none did.

    Outside the main thread, where Python cannot handle signals, nothing is changed, nor where a signal is ignored.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.received: signal.Signals | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
            self._before = {number: signal.signal(number, self._handle) for number in heard}
        return self

    def __exit__(self, *error: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self.received = signal.Signals(number)
        self.say(
            "stopping after this step, or the evaluation under way; a checkpoint is saved first "
            "(once more: stop at once)"
        )
