"""Passes a run's records on to trackers."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from lethe.engine import Observer
from lethe.track._config import TrackConfig
from lethe.track._tracker import Tracked, Tracker
from lethe.track._trackers import PACKAGES, TRACKERS

Result = TypeVar("Result")


class TrackingObserver(Observer):
    """Tells another observer everything, and the trackers of a config the run's numbers.

    To be entered around the run, so that trackers learn how it ended. One whose library is absent, or that raises
    whatever it may at any call, is named in one line and left out from then on; the run goes on.

    Args:
        observer: the one that is told everything, and says what there is to say.
        config: which trackers.
        options: the run's config, by sections.
    """

    def __init__(self, observer: Observer, config: TrackConfig, options: Mapping[str, Any]) -> None:
        self._observer, self._config, self._options = observer, config, options
        self._trackers: dict[str, Tracker] = {}

    def __enter__(self) -> TrackingObserver:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name, tracker in list(self._trackers.items()):
            self._guarded(name, lambda tracker=tracker: tracker.close(finished=kind is None))  # type: ignore[misc]
        self._trackers.clear()

    def begin(self, title: str, epochs: int | None, where: Path | None = None) -> None:
        """Open the trackers, once the run has a folder."""
        self._observer.begin(title, epochs, where)
        if where is None:
            return
        run = Tracked(title, where, self._config.track_project, self._options)
        for name in self._config.track:
            tracker = self._guarded(name, lambda name=name: TRACKERS[name](run))  # type: ignore[misc]
            if tracker is not None:
                self._trackers[name] = tracker

    def megabatch(self, number: int, expected: int | None) -> None:
        """Nothing for trackers, whose records name it."""
        self._observer.megabatch(number, expected)

    def images(self, count: int) -> None:
        """Nothing for trackers."""
        self._observer.images(count)

    def step(self, epochs: float) -> None:
        """Nothing for trackers."""
        self._observer.step(epochs)

    def record(self, record: dict[str, Any]) -> None:
        """Tell the trackers, and then the other, which may stop the run."""
        numbers = {
            name: float(value)
            for name, value in record.items()
            if isinstance(value, (int, float)) and not isinstance(value, bool) and name != "epoch"
        }
        epoch, event = self._running_epoch(record), record.get("event")
        text = None if event is None else str(event)
        for name, tracker in list(self._trackers.items()):
            self._guarded(name, lambda tracker=tracker: tracker.log(numbers, epoch, text))  # type: ignore[misc]
        self._observer.record(record)

    def stop_asked(self) -> bool:
        """What the other says."""
        return self._observer.stop_asked()

    def say(self, message: str) -> None:
        """Through the other."""
        self._observer.say(message)

    def end(self, message: str) -> None:
        """Pass it on."""
        self._observer.end(message)

    def _running_epoch(self, record: Mapping[str, Any]) -> int:
        """The record's epoch, counted through all megabatches where there are any; their closing line has the last."""
        epochs = int(self._options["schedule"]["epochs"]) if "megabatch" in record else 0
        return (int(record.get("megabatch", 1)) - 1) * epochs + int(record.get("epoch", epochs))

    def _guarded(self, name: str, call: Callable[[], Result]) -> Result | None:
        """The call's result; None if the tracker has failed and is gone."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a library's word to its own developers must not stop the run either
                return call()
        except ImportError as error:
            package = PACKAGES.get(name, name)
            self.say(f"warning: not tracked by {name}, which is not installed ({error}): pip install {package}")
        except Exception as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            self.say(f"warning: no longer tracked by {name}, which failed ({reason}); the run goes on")
        tracker = self._trackers.pop(name, None)
        if tracker is not None:
            with contextlib.suppress(Exception):
                tracker.close(finished=False)
        return None
