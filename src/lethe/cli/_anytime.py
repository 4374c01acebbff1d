"""`lethe anytime RECIPE`."""

from __future__ import annotations

from lethe.cli._make_runs import make_runs

HELP = "\n--published: start from the settings of LURE's scripts for this data set."


def command(words: list[str]) -> int:
    """Train on a stream, and print the run's table."""
    return make_runs("anytime", words, HELP)
