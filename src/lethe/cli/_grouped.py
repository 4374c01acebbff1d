"""Runs as a report groups them, whichever version of Lethe made them."""

from __future__ import annotations

from collections.abc import Sequence

from lethe.engine import RunDirectory
from lethe.recipes import ALL_RECIPES, with_defaults
from lethe.report import Group, Section, group_runs, sections, with_differences, with_intervals


def grouped(directories: Sequence[RunDirectory], *, by_folder: bool = False) -> list[Group]:
    """Group them, an option that a run did not have yet at its default."""
    return group_runs(directories, complete=lambda options: with_defaults(options, ALL_RECIPES), by_folder=by_folder)


def closing_table(directories: Sequence[RunDirectory]) -> list[Section]:
    """What a command that made runs ends with: means, intervals where there are seeds, and differences."""
    return [with_differences(with_intervals(section)) for section in sections(grouped(directories))]
