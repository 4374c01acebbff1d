"""`lethe anytime RECIPE`."""

from __future__ import annotations

from rich.console import Console

from lethe.cli._options import parse_recipe
from lethe.cli._progress import ProgressObserver
from lethe.recipes import ANYTIME_RECIPES
from lethe.report import group_runs, print_sections, sections

HELP = """

--config FILE: take the options of a saved config (a run's config.json); others on the line override it."""


def command(words: list[str]) -> int:
    """Train on a stream, and print the run's table."""
    console = Console()
    recipe = parse_recipe("anytime", words, ANYTIME_RECIPES, HELP)
    if recipe is None:
        return 0
    observer = ProgressObserver(console)
    try:
        directory, _ = recipe.execute(observer=observer)
    finally:
        observer.end("")
    print_sections(sections(group_runs([directory])), console)
    console.print(f"written: {directory.path} (config, metrics.jsonl, checkpoints)", markup=False, soft_wrap=True)
    return 0
