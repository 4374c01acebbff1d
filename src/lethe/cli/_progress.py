"""How a single run shows itself: a bar on a terminal, a line an interval in a log, both with pace and time left."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Column

from lethe.cli._pace import Pace
from lethe.cli._signals import StopSignals
from lethe.engine import Observer

LOG_INTERVAL_S = 10.0


def headline(record: dict[str, Any]) -> str:
    """The numbers of a record that one watches."""
    if "test/errors" in record:
        error = f"{1 - record['test/clean']:.1%} ({record['test/errors']} images)"
        return f"megabatch {record['megabatch']}: test error {error}"
    parts = [f"epoch {record['epoch']}", f"loss {record['train/loss']:.3f}"]
    for prefix, name in (("", "val"), ("stable/", "stable val")):
        if f"{prefix}validation/clean" in record:
            parts.append(f"{name} clean {record[f'{prefix}validation/clean']:.1%}")
        if f"{prefix}validation/robust" in record:
            parts.append(f"robust {record[f'{prefix}validation/robust']:.1%}")
    if "event" in record:
        parts.append(record["event"])
    return ", ".join(parts)


class ProgressObserver(Observer):
    """Shows a run on a console; its first line says what ``about`` says, or the run's title."""

    def __init__(self, console: Console, about: str | None = None) -> None:
        self.console, self.about = console, about
        self.where: Path | None = None
        self.signals = StopSignals(self.say)
        self._bar: Progress | None = None
        self._started, self._last_line = 0.0, 0.0
        self._epochs: int | None = None
        self._done = 0.0
        self._megabatch = ""
        self._first: float | None = None
        self._pace = Pace()

    def begin(self, title: str, epochs: int | None, where: Path | None = None) -> None:
        """Say where the run goes, and start the bar; where nobody knows how long it is, one that only moves."""
        self.where = where
        if where is not None:
            self.console.print(f"{self.about or title}: {where}", markup=False, soft_wrap=True)
        self._epochs, self._last_line, self._first, self._pace = epochs, 0.0, None, Pace()
        if self.console.is_terminal:
            columns = (
                TextColumn("[bold]{task.description}"),
                BarColumn(bar_width=20),
                TextColumn(
                    "{task.fields[megabatch]}epoch {task.completed:.1f}" + ("" if epochs is None else f"/{epochs}")
                ),
                TimeElapsedColumn(),
                *((TextColumn("left"), TimeRemainingColumn()) if epochs is not None else (TextColumn("no end known"),)),
                TextColumn("{task.fields[pace]}"),
                TextColumn("{task.fields[headline]}", table_column=Column(ratio=1, no_wrap=True)),  # what is left
            )
            self._bar = Progress(*columns, console=self.console, expand=True)
            self._bar.add_task(title, total=epochs, pace="", headline="", megabatch="")
            self._bar.start()

    def megabatch(self, number: int, expected: int | None) -> None:
        """Say which, and of how many."""
        self._megabatch = f"megabatch {number} of {'?' if expected is None else expected}"
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], megabatch=f"{self._megabatch}, ")

    def images(self, count: int) -> None:
        """What the pace is counted in."""
        self._pace.images = count

    def step(self, epochs: float) -> None:
        """Move the bar."""
        if self._first is None:
            self._first, self._started = epochs, time.monotonic()  # a resumed run begins further on
        self._done = epochs
        self._pace.step(epochs)
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=epochs, pace=str(self._pace))

    def record(self, record: dict[str, Any]) -> None:
        """Show the newest numbers."""
        if "seconds" in record:
            self._pace.record(record["seconds"])
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], headline=headline(record))
            if "event" in record or "test/errors" in record:
                self._bar.console.print(headline(record))
            return
        now = time.monotonic()
        finished = self._epochs is not None and self._done >= self._epochs
        if now - self._last_line >= LOG_INTERVAL_S or finished or "event" in record or "test/errors" in record:
            self._last_line = now
            progress = max(self._done - (self._first or 0.0), 1e-9)
            left = ""
            if self._epochs is not None and progress > 1e-3:  # right after a resume there is nothing to reckon with
                left = f"{(self._epochs - self._done) * (now - self._started) / progress:.0f} s left"
            megabatch = "" if "test/errors" in record else self._megabatch  # which says so itself
            shown = [megabatch, headline(record), str(self._pace), left]
            of = "?, no end known" if self._epochs is None else self._epochs
            line = f"[{self._done:.0f}/{of}] " + ", ".join(filter(None, shown))
            self.console.print(line, markup=False, soft_wrap=True)

    def stop_asked(self) -> bool:
        """Whether a signal came."""
        return self.signals.received is not None

    def say(self, message: str) -> None:
        """A line, above the bar if there is one."""
        (self.console if self._bar is None else self._bar.console).print(message, markup=False, soft_wrap=True)

    def end(self, message: str) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        if message:
            self.console.print(message, markup=False, soft_wrap=True)
