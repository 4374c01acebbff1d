"""The section of anytime runs: errors along the stream, and what they cost."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from lethe.report._runs import Group
from lethe.report._section import Curve, Panel, Row, Section, data_of, spread

Run = list[dict[str, Any]]
NOTES = {
    "errors": "errors: misclassified test images summed over the megabatches, the cumulative error; in %: of the test "
    "set, so up to 100 for each megabatch. final: error after the last.",
    "speed": "speed of learning: mean validation accuracy over a megabatch's epochs, mean over the megabatches.",
    "TFLOPs": "TFLOPs: floating-point operations of training and forgetting, counted, in units of 10^12.",
    "final gap": "gap: training minus validation accuracy at the epoch that was chosen.",
    "minutes": "minutes: of the training steps.",
}


def anytime_section(groups: Sequence[Group]) -> Section:
    """Groups of runs along the same stream.

    Columns that no run has measured are left out, so that runs of earlier versions can be shown; where some have, the
    others' cells are empty.
    """
    cells = [_cells(group) for group in groups]
    curves, costs, times = [], [], []
    for group, found in zip(groups, cells, strict=True):
        learnt = [_learnt(run) for run in group.runs]
        errors = [[1.0 - record["test/clean"] for record in run] for run in learnt]
        curves.append(_along(group.label, [[float(record["megabatch"]) for record in run] for run in learnt], errors))
        times.append(_along(group.label, [_minutes(run) for run in group.runs], errors))
        if "TFLOPs" in found:
            costs.append(_along(group.label, [_teraflops(run) for run in learnt], errors))
    y = "test error, %"
    more = [Panel("Test error against compute", ("TFLOPs so far", y), costs)] if costs else []
    if all(curve.x[-1] > 0 for curve in times):
        more.append(Panel("Test error against time", ("minutes of training so far", y), times))
    measure, axes = ("cumulative error", "images"), ("megabatch", y)

    def table(title: str, columns: Sequence[str]) -> Section:
        header = [name for name in columns if any(name in found for found in cells)]
        rows = []
        for group, found in zip(groups, cells, strict=True):
            counts = [float(sum(record["test/errors"] for record in _learnt(run))) for run in group.runs]
            row = [*(found.get(name, "") for name in header), str(len(counts))]
            rows.append(Row(group.label, row, counts, group.seeds))
        notes = [text for name, text in NOTES.items() if any(name in column for column in header)]
        return Section(title, ["method", *header, "n"], rows, axes, [], measure, False, notes)

    title = f"Test error after each of {max(len(curve.x) for curve in curves)} megabatches, % ({data_of(groups[0])})"
    return replace(
        table(title, [name for name in _COLUMNS if name not in _BESIDE]),
        curves=curves,
        bounds=(0.0, _most(groups)),
        band="interval",
        more=more,
        beside=[table("After the last of them, and what all took", _BESIDE)],
    )


def _cells(group: Group) -> dict[str, str]:
    """By column what is known of the group."""
    learnt = [_learnt(run) for run in group.runs]
    read: dict[str, Callable[[Run], float]] = {
        "errors, images": lambda run: sum(record["test/errors"] for record in run),
        "errors, %": lambda run: sum(1.0 - record["test/clean"] for record in run),
        "final, %": lambda run: 1.0 - float(run[-1]["test/clean"]),
        "final robust accuracy, %": lambda run: float(run[-1]["test/robust"]),
        "final calibration error, %": lambda run: float(run[-1]["test/ece"]),
        "final gap, %": lambda run: float(run[-1]["gap"]),
        "speed, %": lambda run: statistics.fmean(record["learning_speed"] for record in run),
        "TFLOPs": lambda run: _teraflops(run)[-1],
    }
    found = {}
    for name, (write, key) in _COLUMNS.items():
        if name == "minutes":
            found[name] = write([_minutes(run)[-1] for run in group.runs])
        elif all(key in record for run in learnt for record in run):
            found[name] = write([read[name](run) for run in learnt])
    return found


def _whole(values: Sequence[float]) -> str:
    mean = f"{statistics.fmean(values):.0f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.0f}"


def _rounded(values: Sequence[float]) -> str:
    return f"{statistics.fmean(values):.3g}"


_COLUMNS: dict[str, tuple[Callable[[Sequence[float]], str], str]] = {
    "errors, images": (_whole, "test/errors"),
    "errors, %": (spread, "test/clean"),
    "final, %": (spread, "test/clean"),
    "final robust accuracy, %": (spread, "test/robust"),
    "final calibration error, %": (spread, "test/ece"),
    "final gap, %": (spread, "gap"),
    "speed, %": (spread, "learning_speed"),
    "TFLOPs": (_rounded, "flops"),
    "minutes": (_rounded, "seconds"),
}
"""How each is written, and what the runs must have measured for it."""
_BESIDE = ("final robust accuracy, %", "final calibration error, %", "final gap, %", "TFLOPs", "minutes")
"""Those that have a table of their own, because one would be too wide for a terminal."""


def _learnt(run: Run) -> Run:
    """The lines of the megabatches that were learnt."""
    return [record for record in run if "test/errors" in record]


def _teraflops(learnt: Run) -> list[float]:
    """Spent by the end of each megabatch."""
    return list(itertools.accumulate(record["flops"] / 1e12 for record in learnt))


def _minutes(run: Run) -> list[float]:
    """Trained by the end of each megabatch."""
    spent, found = 0.0, []
    for record in run:
        if "test/errors" in record:
            found.append(spent / 60)
        else:
            spent += record.get("seconds", 0.0)
    return found


def _along(label: str, x: Sequence[Sequence[float]], errors: Sequence[list[float]]) -> Curve:
    """A curve over the mean of the seeds' places; as long as the shortest, where files arrived that others have not."""
    length = min(len(run) for run in errors)
    places = [statistics.fmean(run[at] for run in x) for at in range(length)]
    return Curve(label, places, [run[:length] for run in errors])


def _most(groups: Sequence[Group]) -> float | None:
    """The largest cumulative error that there could be; None if it is not known."""
    runs = [_learnt(run) for group in groups for run in group.runs]
    if not all("test_images" in record for run in runs for record in run):
        return None
    return float(max(sum(record["test_images"] for record in run) for run in runs))
