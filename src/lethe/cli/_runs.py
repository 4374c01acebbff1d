"""`lethe runs [FOLDER]`."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from lethe._check import LetheError
from lethe.engine import RunDirectory
from lethe.report import best_last

USAGE = """usage: lethe runs [FOLDER]

Lists the runs below FOLDER (default: runs), however deep: how far each is, and, if it is not finished, when it last
wrote something; and its test accuracy at the best epoch, which validation images chose, and at the last: robust
accuracy if the run attacks, of the stable model if it has one. Of an anytime run, the last is after the last megabatch
that it has learnt. A run that is not finished goes on with lethe train --resume RUN, or lethe anytime --resume RUN."""


def command(words: list[str]) -> int:
    """Print the list."""
    if words and words[0] in ("-h", "--help"):
        print(USAGE)
        return 0
    if len(words) > 1 or any(word.startswith("-") for word in words):
        raise LetheError(f"lethe runs takes one folder, got {' '.join(words)!r}.")
    folder = Path(words[0] if words else "runs")
    if not folder.is_dir():
        raise LetheError(f"there is no folder {str(folder)!r}: name one that holds runs.")
    found = RunDirectory.below(folder)
    if not found:
        raise LetheError(f"no runs in {str(folder)!r}: a run's folder has a config.json.")
    console = Console()
    table = Table(
        Column("run", overflow="fold", ratio=1), "recipe", "seed", "epochs", "state", "test, %", "best", "last"
    )
    for run in found:
        name = escape(str(run.path.relative_to(folder)))
        try:
            table.add_row(name, *map(escape, _row(run)))
        except (LetheError, KeyError, TypeError, AttributeError) as error:
            table.add_row(name, "", "", "", escape(f"cannot be read: {error}"), "", "", "")
    console.print(table)
    return 0


def _row(directory: RunDirectory) -> tuple[str, ...]:
    config, records = directory.config(), directory.records()
    epochs = f"{sum('train/loss' in record for record in records)}"
    stream = config.get("stream", {"megabatches": 1})
    megabatches = None if stream.get("arrivals") or stream.get("megabatch_size") else stream["megabatches"]
    total = "?" if megabatches is None else config["schedule"]["epochs"] * megabatches
    what, shown = _measured_along(records) if "stream" in config else _measured(records)
    seed = str(config["run"]["seed"])
    return config["recipe"], seed, f"{epochs}/{total}", _state(directory), what, *shown


def _measured(records: list[dict[str, object]]) -> tuple[str, tuple[str, str]]:
    """The first that there is of these, as one reads them, and its best and last."""
    for metric in ("robust", "clean"):
        for prefix in ("stable/", ""):
            if (numbers := best_last(records, metric, prefix)) is not None:
                name = f"{metric}{', stable' if prefix else ''}"
                return name, (f"{100 * numbers.best:.1f}", f"{100 * numbers.last:.1f}")
    return "", ("", "")


def _measured_along(records: list[dict[str, Any]]) -> tuple[str, tuple[str, str]]:
    """How many megabatches are learnt, and the test accuracy after the last of them."""
    learnt = [record for record in records if "test/errors" in record]
    if not learnt:
        return "", ("", "")
    name = "robust" if "test/robust" in learnt[-1] else "clean"
    return f"{name}, megabatch {learnt[-1]['megabatch']}", ("", f"{100 * learnt[-1][f'test/{name}']:.1f}")


def _state(directory: RunDirectory) -> str:
    if directory.summary() is not None:
        return "finished"
    last = 0.0
    for path in directory.path.rglob("*"):
        with suppress(OSError):  # a run that is under way moves its files
            last = max(last, path.stat().st_mtime)
    return f"{(time.time() - last) / 60:.0f} min ago"
