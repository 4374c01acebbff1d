"""Say plainly whether a method beat its baseline."""

from __future__ import annotations

import statistics

from lethe.report._section import Section


def verdict(section: Section, baseline: str, method: str) -> str:
    """One sentence on two rows of a section, by its main measure, seed against the same seed.

    Args:
        section: with both rows.
        baseline: label of a row.
        method: label of another, with the same seeds.
    """
    values = {row.label: row.values for row in section.rows}
    theirs, mine = values[baseline], values[method]
    sign = 1.0 if section.higher_is_better else -1.0
    better = sum(sign * m > sign * t for m, t in zip(mine, theirs, strict=True))
    worse = sum(sign * m < sign * t for m, t in zip(mine, theirs, strict=True))
    name, unit = section.measure
    means = [statistics.fmean(values) for values in (mine, theirs)]
    numbers = " against ".join(f"{mean:.1f} %" if unit == "%" else f"{mean:.0f} {unit}" for mean in means)
    count = len(mine)
    if better == count:
        outcome = f"{method} wins over {baseline}"
    elif worse == count:
        outcome = f"{method} does not win: it is worse than {baseline}"
    else:
        outcome = f"{method} does not clearly win over {baseline}"
    seeds = "1 seed" if count == 1 else f"better on {better} of {count} seeds"
    return f"{outcome}. {name.capitalize()}: {numbers} ({seeds})."
