"""How sure a mean over seeds is."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lethe.report._section import Section


@dataclass(frozen=True)
class Interval:
    """A mean and its 95 % interval by Student's t.

    Attributes:
        mean: of the measurements.
        low: lower end.
        high: upper end.
        n: how many there are.
    """

    mean: float
    low: float
    high: float
    n: int


def interval(values: Sequence[float]) -> Interval:
    """Of the mean of at least two independent measurements, as seeds are."""
    from scipy.stats import t

    n, mean = len(values), statistics.fmean(values)
    half = float(t.ppf(0.975, n - 1)) * statistics.stdev(values) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, n)


def bounded(found: Interval, low: float | None, high: float | None) -> Interval:
    """The interval cut where no value can lie: a share's at 0 and at 1. None: no bound."""
    return replace(
        found,
        low=found.low if low is None else max(found.low, low),
        high=found.high if high is None else min(found.high, high),
    )


def with_intervals(section: Section) -> Section:
    """The section with one column more, before ``n``: the main measure's mean and its 95 % interval over seeds.

    An interval does not reach beyond what the measure can be, a percentage's not beyond 0 and 100.
    A row of a single seed has none; a section of such rows alone is left as it is.
    """
    if all(len(row.values) < 2 for row in section.rows):
        return section
    rows = []
    for row in section.rows:
        cell = ""
        if len(row.values) > 1:
            i = bounded(interval(row.values), *section.limits())
            cell = f"{i.mean:.1f} ({i.low:.1f} to {i.high:.1f})"
        rows.append(replace(row, cells=[*row.cells[:-1], cell, row.cells[-1]]))
    name, unit = section.measure
    column = f"{name}: mean (95 % interval)" if unit == "%" else f"{name}, {unit}: mean (95 % interval)"
    return replace(section, header=[*section.header[:-1], column, section.header[-1]], rows=rows)
