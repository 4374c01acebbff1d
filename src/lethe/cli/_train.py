"""`lethe train RECIPE`."""

from __future__ import annotations

from lethe.cli._make_runs import make_runs

HELP = "\n--published: start from the settings of the paper's own script for this data set, network and augmentation."


def command(words: list[str]) -> int:
    """Train, and print the run's table."""
    return make_runs("train", words, HELP)
