"""`lethe report RUN [RUN ...]`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from lethe._check import LetheError, nearest
from lethe._files import write_bytes
from lethe.cli._grouped import grouped
from lethe.cli._options import take, take_flag
from lethe.engine import RunDirectory
from lethe.report import (
    draw,
    markdown,
    page,
    print_sections,
    provenance,
    sections,
    with_differences,
    with_intervals,
    write_csv,
)

USAGE = """usage: lethe report RUN [RUN ...] [--out FOLDER] [--by-folder]

Prints best / last / gap of finished runs; runs that differ only in their seed are averaged, with the standard
deviation and a 95 % interval, and compared, seed by seed, with the first row of their table. With --out, writes
table.md, table.csv, curves.png and report.html into FOLDER. A folder that is no run stands for the finished runs below
it; those that are not finished are named and left out. Rows are called by the options in which they differ; with
--by-folder by their runs' folders: amp-small of amp-small-seed0."""


def command(words: list[str]) -> int:
    """Print the tables of runs, and write them if asked."""
    if not words or words[0] in ("-h", "--help"):
        print(USAGE)
        return 0
    out = take(words, "--out")
    by_folder = take_flag(words, "--by-folder")
    for word in words:
        if word.startswith("-"):
            raise LetheError(
                f"unknown option {word!r}.{nearest(word, ['--out', '--by-folder'])} "
                "'lethe report --help' lists all options."
            )
    if not words:
        raise LetheError("lethe report needs at least one run: lethe report RUN [RUN ...].")
    console = Console()
    groups = grouped(_runs([Path(word) for word in words], console), by_folder=by_folder)
    made = [with_differences(with_intervals(section)) for section in sections(groups)]
    print_sections(made, console)
    if out is not None:
        folder = Path(out)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LetheError(f"the folder {out!r} cannot be made: {error.strerror}.") from error
        picture, sources = draw(made), provenance(groups)
        write_bytes(folder / "table.md", markdown(made, sources).encode())
        write_csv(made, folder / "table.csv")
        write_bytes(folder / "curves.png", picture)
        write_bytes(folder / "report.html", page("Lethe report", made, picture, sources=sources).encode())
        console.print(f"written: {folder} (table.md, table.csv, curves.png, report.html)", markup=False, soft_wrap=True)
    return 0


def _runs(paths: Sequence[Path], console: Console) -> list[RunDirectory]:
    """The runs that are named, finished or not, and the finished ones below folders, such as a sweep's."""
    runs: list[RunDirectory] = []
    left: list[RunDirectory] = []
    for path in paths:
        below = [] if (path / "config.json").is_file() else RunDirectory.below(path)
        if not below:
            runs.append(RunDirectory.open(path))
        for run in below:
            (left if run.summary() is None else runs).append(run)
    if left and not runs:
        raise LetheError(f"none of these {len(left)} runs is finished: see lethe runs {paths[0]}.")
    if left:
        console.print(
            f"left out, not finished: {', '.join(str(run.path) for run in left)}", markup=False, soft_wrap=True
        )
    return runs
