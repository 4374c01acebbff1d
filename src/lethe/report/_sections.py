"""A report's sections: each a question, a table and the curves that belong to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from lethe.report._anytime import anytime_section
from lethe.report._best_last import BestLast, best_last
from lethe.report._labels import notes_on
from lethe.report._runs import Group, measured_alike
from lethe.report._section import STABLE, WORKING, Curve, Row, Section, data_of, spread


def sections(groups: Sequence[Group]) -> list[Section]:
    """The sections that these groups give: adversarial runs, standard runs, anytime runs.

    What was measured on other images, under another attack or along another stream is not put into one table.
    """
    kinds: dict[Callable[[Sequence[Group]], Section], list[Section]] = {_robust: [], _standard: [], anytime_section: []}
    for alike in measured_alike(groups):
        options = alike[0].options
        kind = anytime_section if "stream" in options else _robust if "attack" in options else _standard
        section = kind(alike)
        # Where labels do not say everything; of those called by their folders, the commands do.
        labels = notes_on([group.options for group in alike if not group.name])
        kinds[kind].append(replace(section, notes=[*section.notes, *labels]))
    return [section for made in kinds.values() for section in made]


def _models(group: Group, metric: str) -> list[tuple[str, str, Group]]:
    """(label, prefix, runs that measured it) of each model; the stable one first, which a short run may not have."""
    stable, working = _having(group, f"stable/test/{metric}"), _having(group, f"test/{metric}")
    if not stable.runs:
        return [(group.label, "", working)]
    return [(group.label + STABLE, "stable/", stable), (group.label + WORKING, "", working)]


def _having(group: Group, key: str) -> Group:
    places = [at for at, run in enumerate(group.runs) if any(key in record for record in run)]
    return replace(group, runs=[group.runs[at] for at in places], seeds=[group.seeds[at] for at in places])


def _read(group: Group, metric: str, prefix: str) -> list[BestLast]:
    return [found for run in group.runs if (found := best_last(run, metric, prefix)) is not None]


def _curve(label: str, group: Group, key: str, read: Callable[[Any], float], chosen: int | None) -> Curve:
    measured = [{record["epoch"]: read(record[key]) for record in run if key in record} for run in group.runs]
    return Curve.over_epochs(label, measured, chosen)


def _robust(groups: Sequence[Group]) -> Section:
    rows, curves = [], []
    for group in groups:
        for label, prefix, part in _models(group, "robust"):
            robust, clean = _read(part, "robust", prefix), _read(part, "clean", prefix)
            measured = [[b.best for b in robust], [b.last for b in robust], [b.gap for b in robust]]
            measured += [[b.last for b in clean], [b.test_best for b in robust]]
            rows.append(Row(label, [*map(spread, measured), _n(part)], [100 * b.last for b in robust], part.seeds))
            curves.append(_curve(label, part, f"{prefix}test/robust", float, robust[0].best_epoch))
    attack = groups[0].options["attack"]
    evaluation = groups[0].options["evaluation"]
    under = f"PGD-{evaluation['eval_steps']}, {attack['norm']}, epsilon {radius(attack['epsilon'])}"
    if evaluation.get("eval_early_stop"):  # which older runs do not have
        under += ", fooled by any step"
    title = f"Robust accuracy, % ({data_of(groups[0])}, {under})"
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
        f"Test error, % ({data_of(groups[0])})",
        header,
        rows,
        axes,
        curves,
        ("test error at the end", "%"),
        False,
        notes,
    )


def radius(epsilon: float) -> str:
    """8/255 where it is a whole number of grey levels, as the field writes it; else a decimal."""
    levels = epsilon * 255
    return f"{round(levels)}/255" if abs(levels - round(levels)) < 1e-9 else f"{epsilon:.3g}"


def _n(group: Group) -> str:
    return str(len(group.runs))
