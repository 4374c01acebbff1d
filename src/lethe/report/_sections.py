"""A report's sections: each a question, a table and the curves that belong to it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from lethe.report._best_last import BestLast, best_last
from lethe.report._runs import Group, measured_alike


@dataclass(frozen=True)
class Curve:
    """One line of a plot: the mean over seeds, and each seed's values for the spread."""

    label: str
    x: list[int]
    seeds: list[list[float]]
    chosen: int | None = None
    """The epoch that the validation set chose, of the first seed."""

    @property
    def mean(self) -> list[float]:
        """Mean over the seeds at each x."""
        return [statistics.fmean(values) for values in zip(*self.seeds, strict=True)]


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        label: the method, the first cell.
        cells: the others, ready to print.
        values: the section's main measure, of each seed.
        seeds: the seeds, in the same order.
    """

    label: str
    cells: list[str]
    values: list[float]
    seeds: list[int]


@dataclass(frozen=True)
class Section:
    """A table and its plot.

    Attributes:
        title: what is measured.
        header: names of the columns.
        rows: the table.
        axes: labels of the plot's axes, x and y.
        curves: what is plotted.
        measure: name of the main measure, and its unit: ``("robust accuracy at the end", "%")``.
        higher_is_better: of the main measure.
        notes: sentences below the table.
    """

    title: str
    header: list[str]
    rows: list[Row]
    axes: tuple[str, str]
    curves: list[Curve]
    measure: tuple[str, str]
    higher_is_better: bool
    notes: list[str] = field(default_factory=list)


def spread(values: Sequence[float]) -> str:
    """A percentage with one decimal; over several seeds the mean and the standard deviation."""
    mean = f"{100 * statistics.fmean(values):.1f}"
    return mean if len(values) == 1 else f"{mean} ± {100 * statistics.stdev(values):.1f}"


def sections(groups: Sequence[Group]) -> list[Section]:
    """The sections that these groups give: adversarial runs, standard runs, anytime runs.

    What was measured on other images, under another attack or along another stream is not put into one table.
    """
    robust, standard, anytime = [], [], []
    for alike in measured_alike(groups):
        options = alike[0].options
        if "stream" in options:
            anytime.append(_anytime(alike))
        elif "attack" in options:
            robust.append(_robust(alike))
        else:
            standard.append(_standard(alike))
    return [*robust, *standard, *anytime]


def _on(group: Group) -> str:
    """The data set, and the size its images were pooled to."""
    data = group.options["data"]
    size = data["image_size"]
    return str(data["dataset"]) + (f" at {size}x{size}" if size else "")


def _models(group: Group, metric: str) -> list[tuple[str, str]]:
    """(label, prefix) of each model that the runs measured; the stable one first."""
    has_stable = any(f"stable/test/{metric}" in record for record in group.runs[0])
    if not has_stable:
        return [(group.label, "")]
    return [(f"{group.label}, stable model", "stable/"), (f"{group.label}, working model", "")]


def _read(group: Group, metric: str, prefix: str) -> list[BestLast]:
    return [found for run in group.runs if (found := best_last(run, metric, prefix)) is not None]


def _curve(label: str, group: Group, key: str, read: Callable[[Any], float], chosen: int | None) -> Curve:
    measured = [[record for record in run if key in record] for run in group.runs]
    return Curve(label, [r["epoch"] for r in measured[0]], [[read(r[key]) for r in run] for run in measured], chosen)


def _robust(groups: Sequence[Group]) -> Section:
    rows, curves = [], []
    for group in groups:
        for label, prefix in _models(group, "robust"):
            robust, clean = _read(group, "robust", prefix), _read(group, "clean", prefix)
            measured = [[b.best for b in robust], [b.last for b in robust], [b.gap for b in robust]]
            measured += [[b.last for b in clean], [b.test_best for b in robust]]
            rows.append(Row(label, [*map(spread, measured), _n(group)], [100 * b.last for b in robust], group.seeds))
            curves.append(_curve(label, group, f"{prefix}test/robust", float, robust[0].best_epoch))
    attack = groups[0].options["attack"]
    steps = groups[0].options["evaluation"]["eval_steps"]
    under = f"PGD-{steps}, {attack['norm']}, epsilon {radius(attack['epsilon'])}"
    title = f"Robust accuracy, % ({_on(groups[0])}, {under})"
    header = ["method", "best", "last", "gap", "clean, last", "best on test", "n"]
    notes = [
        "best: at the epoch chosen on validation images. best on test: chosen on the test set itself; it flatters."
    ]
    axes = ("epoch", "robust test accuracy, %")
    return Section(title, header, rows, axes, curves, ("robust accuracy at the end", "%"), True, notes)


def _standard(groups: Sequence[Group]) -> Section:
    rows, curves = [], []
    for group in groups:
        found = _read(group, "clean", "")
        best, last = [1 - b.best for b in found], [1 - b.last for b in found]
        cells = [spread(best), spread(last), spread([b.gap for b in found]), _n(group)]
        rows.append(Row(group.label, cells, [100 * error for error in last], group.seeds))
        curves.append(_curve(group.label, group, "test/clean", lambda value: 1 - value, found[0].best_epoch))
    header, axes = ["method", "best", "last", "gap", "n"], ("epoch", "test error, %")
    notes = ["best: at the epoch chosen on validation images."]
    return Section(
        f"Test error, % ({_on(groups[0])})", header, rows, axes, curves, ("test error at the end", "%"), False, notes
    )


def _anytime(groups: Sequence[Group]) -> Section:
    rows, curves = [], []
    for group in groups:
        measured = [[record for record in run if "test/errors" in record] for run in group.runs]
        errors = [[1 - record["test/clean"] for record in run] for run in measured]
        counts = [float(sum(record["test/errors"] for record in run)) for run in measured]
        count = f"{statistics.fmean(counts):.0f}" + (f" ± {statistics.stdev(counts):.0f}" if len(counts) > 1 else "")
        cells = [count, spread([statistics.fmean(e) for e in errors]), spread([e[-1] for e in errors]), _n(group)]
        rows.append(Row(group.label, cells, counts, group.seeds))
        curves.append(Curve(group.label, [record["megabatch"] for record in measured[0]], errors))
    header = ["method", "cumulative error, images", "mean error, %", "final error, %", "n"]
    title = f"Test error after each of {len(curves[0].x)} megabatches, % ({_on(groups[0])})"
    axes = ("megabatch", "test error, %")
    notes = ["cumulative error: misclassified test images, summed over the megabatches."]
    return Section(title, header, rows, axes, curves, ("cumulative error", "images"), False, notes)


def radius(epsilon: float) -> str:
    """8/255 where it is a whole number of grey levels, as the field writes it; else a decimal."""
    levels = epsilon * 255
    return f"{round(levels)}/255" if abs(levels - round(levels)) < 1e-9 else f"{epsilon:.3g}"


def _n(group: Group) -> str:
    return str(len(group.runs))
