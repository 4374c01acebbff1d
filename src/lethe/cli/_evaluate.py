"""`lethe evaluate RUN`."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from lethe._check import LetheError
from lethe.cli._options import parse_options
from lethe.evaluate import Evaluation, title
from lethe.recipes import EvaluateConfig
from lethe.report import radius

USAGE = """Evaluates what a run has trained: clean accuracy, calibration, robust accuracy under each attack, and signs
that these numbers are not to be believed. TARGET: a run directory, one of its checkpoints, or a file of weights with
--config. Results are kept attack by attack: the same command goes on where it was stopped."""


def command(words: list[str]) -> int:
    """Evaluate, and print the table."""
    target = words.pop(0) if words and not words[0].startswith("-") else None
    config = parse_options("lethe evaluate TARGET", words, EvaluateConfig(), USAGE)
    if config is None:
        return 0
    if target is None:
        raise LetheError("lethe evaluate needs a run directory, or a file of weights and --config.")
    console = Console()
    progress = _Shown(console)
    try:
        evaluation = config.execute(Path(target), progress)
    except KeyboardInterrupt:
        progress.end()
        console.print("stopped; the same command goes on after the last attack that is done")
        return 130
    finally:
        progress.end()
    _print(evaluation, console)
    return 0


class _Shown:
    """A bar an attack on a terminal, a line an attack in a log."""

    def __init__(self, console: Console) -> None:
        self.console, self.tasks = console, dict[str, TaskID]()
        columns = (
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        self.bar = Progress(*columns, console=console) if console.is_terminal else None
        if self.bar is not None:
            self.bar.start()

    def __call__(self, name: str, share: float) -> None:
        if self.bar is None:
            if share == 0.0:
                self.console.print(f"{title(name)}: running", markup=False)
            return
        if name not in self.tasks:
            self.tasks[name] = self.bar.add_task(title(name), total=1.0)
        self.bar.update(self.tasks[name], completed=share)

    def end(self) -> None:
        """Take the bars away."""
        if self.bar is not None:
            self.bar.stop()
            self.bar = None


def _print(evaluation: Evaluation, console: Console) -> None:
    about = evaluation.about
    size = radius(about["epsilon"]) if about["norm"] == "linf" else f"{about['epsilon']:g}"
    where = f"{about['images']:,} {about['part']} images, {about['norm']}, epsilon {size}"
    table = Table("attack", "accuracy, %", "seconds", title=f"{about['recipe']}, {about['checkpoint']} ({where})")
    for name in evaluation.right:
        seconds = evaluation.seconds.get(name)
        table.add_row(
            title(name), f"{100 * evaluation.accuracy(name):.2f}", "" if seconds is None else f"{seconds:.0f}"
        )
    if len(evaluation.right) > 2:
        table.add_row("worst of all", f"{100 * evaluation.worst():.2f}", "")
    console.print(table)
    if evaluation.calibration is not None:
        console.print(f"expected calibration error: {evaluation.calibration:.3f}")
    for warning in evaluation.warnings:
        console.print(f"warning: {warning}", style="yellow", markup=False, soft_wrap=True)
    console.print(f"written: {evaluation.path}", markup=False, soft_wrap=True)
