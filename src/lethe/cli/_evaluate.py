"""`lethe evaluate RUN`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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
from lethe._files import write_bytes
from lethe.cli._options import parse_options
from lethe.evaluate import OFFICIAL, SEVERITIES, Evaluation, mean_corruption_accuracy, picture_of, sharpness_of, title
from lethe.recipes import EvaluateConfig
from lethe.report import draw_landscape, radius

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
    _point_to_the_stable(Path(target), evaluation.about["checkpoint"], console)
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
    _print_beside(evaluation, console)
    for warning in evaluation.warnings:
        console.print(f"warning: {warning}", style="yellow", markup=False, soft_wrap=True)
    console.print(f"written: {evaluation.path}", markup=False, soft_wrap=True)


def _point_to_the_stable(target: Path, checkpoint: str, console: Console) -> None:
    """A run with an average is, as a rule, about that one."""
    if (target / "checkpoints" / f"{checkpoint}-stable.pt").is_file():
        console.print(
            f"this is the working model; the stable one: lethe evaluate {target} --checkpoint {checkpoint}-stable",
            markup=False,
            soft_wrap=True,
        )


def _print_beside(evaluation: Evaluation, console: Console) -> None:
    """Corruptions as a table, sharpness as numbers and a picture beside the results."""
    for name in ("corruptions", OFFICIAL):
        if name in evaluation.beside:
            console.print(_corruption_table(evaluation.beside[name]))
    sharpness = sharpness_of(evaluation)
    if sharpness is not None:
        table = Table("radius, % of each tensor's norm", *(f"{100 * share:g}" for share in sharpness.radii))
        table.add_row("worst cross-entropy on training images", *(f"{loss:.3g}" for loss in sharpness.worst))
        console.print(table)
        if evaluation.path is not None:
            path, about = picture_of(evaluation.path), evaluation.about
            write_bytes(
                path, draw_landscape(sharpness, f"{about['recipe']}, {about['checkpoint']}: loss around the weights")
            )
            console.print(f"written: {path}", markup=False, soft_wrap=True)


def _corruption_table(corruptions: dict[str, Any]) -> Table:
    """Accuracy by severity."""
    found, made = corruptions["found"], corruptions["made"]
    table = Table("corruption", *map(str, SEVERITIES), "mean", title=f"accuracy, %, by severity ({made['source']})")
    for name, shares in found.items():
        mean = sum(shares) / len(shares)
        table.add_row(name.replace("_", " "), *(f"{100 * share:.1f}" for share in (*shares, mean)))
    if len(found) == len(made["names"]):
        table.add_row("mean", *[""] * 5, f"{100 * mean_corruption_accuracy(found):.1f}")
    else:
        table.add_row("stopped: the rest is not measured yet", *[""] * 6)
    return table
