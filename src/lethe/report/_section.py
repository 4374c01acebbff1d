"""What a section of a report is made of: a table, its curves, and notes."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lethe.report._runs import Group

STABLE, WORKING = ", stable model", ", working model"
"""What a label ends with where a method has two models."""


@dataclass(frozen=True)
class Curve:
    """One line of a plot: the mean over seeds, and each seed's values for the spread."""

    label: str
    x: Sequence[float]
    seeds: list[list[float]]
    chosen: int | None = None
    """The epoch that the validation set chose, of the first seed."""

    @property
    def mean(self) -> list[float]:
        """Mean over the seeds at each x."""
        return [statistics.fmean(values) for values in zip(*self.seeds, strict=True)]

    @classmethod
    def over_epochs(cls, label: str, seeds: Sequence[Mapping[float, float]], chosen: int | None = None) -> Curve:
        """From values by epoch: at the epochs that all seeds have, as one that stopped early has fewer."""
        epochs = [epoch for epoch in seeds[0] if all(epoch in values for values in seeds)]
        return cls(label, epochs, [[values[epoch] for epoch in epochs] for values in seeds], chosen)


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
class Panel:
    """One more plot of a section.

    Attributes:
        title: what it shows.
        axes: labels of its axes, x and y.
        curves: what is plotted, shares in [0, 1].
    """

    title: str
    axes: tuple[str, str]
    curves: list[Curve]


@dataclass(frozen=True)
class Section:
    """A table and its plots.

    Attributes:
        title: what is measured.
        header: names of the columns.
        rows: the table.
        axes: labels of the first plot's axes, x and y.
        curves: what is plotted there, shares in [0, 1].
        measure: name of the main measure, and its unit: ``("robust accuracy at the end", "%")``.
        higher_is_better: of the main measure.
        notes: sentences below the table.
        bounds: between which the main measure lies whatever happens, in its unit, so that an interval does not reach
            beyond; None: no bound is known.
        band: around a curve of several seeds: ``"range"``, from the least to the largest, or ``"interval"``, the mean's
            95 % interval.
        more: plots beside the first.
        beside: tables of what else was measured of the same rows, with no curves of their own.
    """

    title: str
    header: list[str]
    rows: list[Row]
    axes: tuple[str, str]
    curves: list[Curve]
    measure: tuple[str, str]
    higher_is_better: bool
    notes: list[str] = field(default_factory=list)
    bounds: tuple[float | None, float | None] = (None, None)
    band: str = "range"
    more: list[Panel] = field(default_factory=list)
    beside: list[Section] = field(default_factory=list)

    def limits(self) -> tuple[float | None, float | None]:
        """The bounds; a percentage that has none of its own lies between 0 and 100."""
        return (0.0, 100.0) if self.measure[1] == "%" and self.bounds == (None, None) else self.bounds


def tables(made: Sequence[Section]) -> list[Section]:
    """Each section, and after it what stands beside it: all that is a table."""
    return [table for section in made for table in (section, *section.beside)]


def spread(values: Sequence[float]) -> str:
    """A percentage with one decimal; over several seeds the mean and the standard deviation."""
    mean = f"{100 * statistics.fmean(values):.1f}"
    return mean if len(values) == 1 else f"{mean} ± {100 * statistics.stdev(values):.1f}"


def data_of(group: Group) -> str:
    """The data set, and the size its images were pooled to."""
    data = group.options["data"]
    size = data["image_size"]
    return str(data["dataset"]) + (f" at {size}x{size}" if size else "")
