"""Is a method better than the first of a table, beyond what the seeds alone do?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lethe.report._intervals import Interval, interval
from lethe.report._section import Section


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


def with_differences(section: Section) -> Section:
    """The section with a note for each row but the first: how its main measure differs from the first row's.

    Rows are paired by seed; a row that shares fewer than two seeds with the first has no note.
    """
    if len(section.rows) < 2:
        return section
    first, notes = section.rows[0], []
    theirs = dict(zip(first.seeds, first.values, strict=True))
    name, unit = section.measure
    points = "points" if unit == "%" else unit
    for row in section.rows[1:]:
        mine = dict(zip(row.seeds, row.values, strict=True))
        seeds = [seed for seed in first.seeds if seed in mine]
        if len(seeds) < 2:
            continue
        d = paired_difference([mine[seed] for seed in seeds], [theirs[seed] for seed in seeds])
        better = (d.mean > 0) == section.higher_is_better
        outcome = ("better" if better else "worse") if d.outside_noise else "within noise"
        notes.append(
            f"{name.capitalize()}, {row.label} minus {first.label}: {d.mean:+.1f} {points} "
            f"(95 % interval {d.low:+.1f} to {d.high:+.1f}, {d.n} pairs of seeds): {outcome}."
        )
    return replace(section, notes=[*section.notes, *notes])
