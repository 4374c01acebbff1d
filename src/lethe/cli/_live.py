"""The demo's live view: a line a method, with its progress and its curve so far."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from lethe.report import LABELS

BARS = "▁▂▃▄▅▆▇█"


def watched(record: dict[str, Any]) -> float | None:
    """The number of a record that the view draws: a test accuracy, of the stable model if there is one."""
    for key in ("stable/test/robust", "test/robust", "test/clean"):
        if key in record:
            return float(record[key])
    return None


def sparkline(values: list[float], low: float = 0.4, high: float = 1.0) -> str:
    """Values as a row of bars, ``low`` the lowest and ``high`` the highest."""
    share = [(min(max(value, low), high) - low) / (high - low) for value in values]
    return "".join(BARS[round(s * (len(BARS) - 1))] for s in share)


class LiveView:
    """Follows several runs. On a terminal a table that redraws itself, elsewhere a line for each finished run."""

    def __init__(self, console: Console, epochs: dict[str, int], weights: dict[str, float], heading: list[str]) -> None:
        """Follow runs.

        Args:
            console: where to show them.
            epochs: of each run by name, in the order to show; runs ``NAME-seedK`` share the line NAME.
            weights: relative length of each run, for the time left.
            heading: lines above.
        """
        self.console, self.epochs, self.weights, self.heading = console, epochs, weights, heading
        self._started = time.monotonic()
        self.done = dict.fromkeys(epochs, 0.0)
        self.values: dict[str, list[float]] = {name: [] for name in epochs}
        self._live = Live(console=console, refresh_per_second=8, get_renderable=self._render)

    def __enter__(self) -> LiveView:
        if self.console.is_terminal:
            self._live.start()
        else:
            for line in self.heading:
                self.console.print(line, soft_wrap=True)
        return self

    def __exit__(self, *error: object) -> None:
        if self.console.is_terminal:
            self._live.stop()

    def step(self, name: str, epochs: float) -> None:
        """So much of a run is done."""
        self.done[name] = epochs

    def record(self, name: str, record: dict[str, Any]) -> None:
        """A run has a new record."""
        if (value := watched(record)) is not None:
            self.values[name].append(value)

    def finished(self, name: str, seconds: float) -> None:
        """A run is over."""
        self.done[name] = float(self.epochs[name])
        if not self.console.is_terminal:
            line = f"{name:12} {seconds:5.1f} s  {sparkline(self.values[name])}  {self._time_left()}"
            self.console.print(line, soft_wrap=True, markup=False)

    def _time_left(self) -> str:
        share = sum(self.weights[run] * done / self.epochs[run] for run, done in self.done.items())
        share /= sum(self.weights.values())
        elapsed = time.monotonic() - self._started
        return f"{elapsed:.0f} s, about {elapsed * (1 - share) / share:.0f} s left" if share > 0.02 else "starting"

    def _render(self) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        lines: dict[str, list[str]] = {}
        for name in self.epochs:
            lines.setdefault(name.partition("-seed")[0], []).append(name)
        for recipe, names in lines.items():
            total, done = sum(self.epochs[n] for n in names), sum(self.done[n] for n in names)
            started = [self.values[n] for n in names if self.values[n]]
            curve = started[-1] if started else []
            seeds = "" if len(names) == 1 else f" ({len(names)} seeds)"
            label = Text(LABELS.get(recipe, recipe) + seeds, style="bold")
            now = f"{curve[-1]:.1%}" if curve else ""
            table.add_row(
                label, ProgressBar(total=total, completed=done, width=20), now, Text(sparkline(curve), "cyan")
            )
        scale = "test accuracy so far, 40 % to 100 % (FOMO and AT: under attack)"
        caption = Text(f"{scale}; {self._time_left()}", style="dim")
        return Group(*self.heading, "", table, caption)
