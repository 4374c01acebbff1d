"""`lethe anytime RECIPE`."""

from __future__ import annotations

from lethe.cli._make_runs import make_runs


def command(words: list[str]) -> int:
    """Train on a stream, and print the run's table."""
    return make_runs("anytime", words)
