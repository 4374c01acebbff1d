"""`lethe recipes`."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from lethe._check import LetheError
from lethe.recipes import ANYTIME_RECIPES, TRAIN_RECIPES


def command(words: list[str]) -> int:
    """Print what there is."""
    if words and words != ["--help"]:
        raise LetheError(f"lethe recipes takes no options, got {' '.join(words)!r}.")
    table = Table("command", "what", "source", "cost of a step (F: one forward pass)")
    for group, recipes in (("train", TRAIN_RECIPES), ("anytime", ANYTIME_RECIPES)):
        for name, kind in recipes.items():
            table.add_row(f"lethe {group} {name}", (kind.__doc__ or "").strip(), kind.source, kind.cost)
    Console().print(table)
    return 0
