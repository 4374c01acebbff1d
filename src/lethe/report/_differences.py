"""Is a method better than the first of a table, beyond what the seeds alone do?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lethe.report._intervals import Interval, interval
from lethe.report._section import Row, Section


@dataclass(frozen=True)
class Difference(Interval):
    """Mean of ``mine - theirs`` over ``n`` pairs of the same seed, and its 95 % interval by Student's t."""

    @property
    def outside_noise(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.low > 0 or self.high < 0


def paired_difference(mine: Sequence[float], theirs: Sequence[float]) -> Difference:
    """Of measurements that belong together in pairs; at least two pairs."""
    found = interval([m - b for m, b in zip(mine, theirs, strict=True)])
    return Difference(found.mean, found.low, found.high, found.n)


FEWEST = 3
"""Pairs that an outcome needs: two that happen to differ alike have an interval of no width."""


def with_differences(section: Section) -> Section:
    """The section with a table beside it: how each row's main measure differs from the first row's.

    Rows are paired by seed; a row that shares fewer than two seeds with the first is not in it.
    """
    if len(section.rows) < 2:
        return section
    first, rows = section.rows[0], []
    theirs = dict(zip(first.seeds, first.values, strict=True))
    for row in section.rows[1:]:
        mine = dict(zip(row.seeds, row.values, strict=True))
        seeds = [seed for seed in first.seeds if seed in mine]
        if len(seeds) < 2:
            continue
        pairs = [mine[seed] for seed in seeds], [theirs[seed] for seed in seeds]
        d = paired_difference(*pairs)
        cells = [f"{d.mean:+.1f}", f"{d.low:+.1f} to {d.high:+.1f}", str(d.n), _outcome(d, section.higher_is_better)]
        rows.append(Row(row.label, cells, [m - t for m, t in zip(*pairs, strict=True)], seeds))
    if not rows:
        return section
    name, unit = section.measure
    title = f"{name.capitalize()}, minus that of {first.label}"
    header = [
        "method",
        f"difference, {'points' if unit == '%' else unit}",
        "95 % interval",
        "pairs of seeds",
        "outcome",
    ]
    table = Section(title, header, rows, section.axes, [], (name, unit), section.higher_is_better)
    return replace(section, beside=[*section.beside, table])


def _outcome(difference: Difference, higher_is_better: bool) -> str:
    if difference.n < FEWEST:
        return "too few seeds"
    if not difference.outside_noise:
        return "within noise"
    return "better" if (difference.mean > 0) == higher_is_better else "worse"
