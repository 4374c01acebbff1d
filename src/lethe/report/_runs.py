"""Run directories, grouped: runs that differ in nothing but the seed belong together."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from lethe._check import LetheError
from lethe.engine import RunDirectory

LABELS = {"sgd": "SGD", "amp": "AMP", "at": "AT", "fomo": "FOMO", "alma": "ALMA (warm start)", "lure": "LURE"}


@dataclass(frozen=True)
class Group:
    """Runs of one config with different seeds.

    Attributes:
        label: the recipe, and the options in which it differs from other groups of the same recipe.
        options: the config of the first run.
        runs: the records of each run.
        seeds: of each run.
        environments: versions, commit, command and machine of each run.
    """

    label: str
    options: dict[str, Any]
    runs: list[list[dict[str, Any]]]
    seeds: list[int]
    environments: list[dict[str, Any]] = field(default_factory=list)

    @property
    def recipe(self) -> str:
        """Name of the recipe."""
        return str(self.options["recipe"])


def group_runs(directories: Sequence[RunDirectory]) -> list[Group]:
    """Read runs and put those of one config together, in the order given.

    Raises:
        LetheError: a run is not finished, or two have the same config and seed.
    """
    grouped: dict[str, list[RunDirectory]] = {}
    for directory in directories:
        if directory.summary() is None:
            raise LetheError(
                f"the run {str(directory.path)!r} is not finished: "
                "continue it with lethe train --resume, or leave it out."
            )
        options = directory.config()
        key = json.dumps({**options, "run": {**options["run"], "seed": None, "device": None}}, sort_keys=True)
        grouped.setdefault(key, []).append(directory)
    firsts = [members[0].config() for members in grouped.values()]
    groups = []
    for first, members in zip(firsts, grouped.values(), strict=True):
        seeds = [directory.config()["run"]["seed"] for directory in members]
        if len(set(seeds)) < len(seeds):
            raise LetheError(f"two runs of {first['recipe']!r} have the same config and the same seed.")
        records = [directory.records() for directory in members]
        environments = [directory.environment() for directory in members]
        groups.append(Group(_label(first, firsts), first, records, seeds, environments))
    return groups


def _flat(options: dict[str, Any]) -> dict[str, Any]:
    sections = {k: v for k, v in options.items() if isinstance(v, dict) and k != "run"}
    return {key: value for section in sections.values() for key, value in section.items()}


def _label(options: dict[str, Any], everyone: Sequence[dict[str, Any]]) -> str:
    name = LABELS.get(options["recipe"], str(options["recipe"]))
    others = [_flat(other) for other in everyone if other["recipe"] == options["recipe"] and other != options]
    mine = _flat(options)
    differing = [key for key, value in mine.items() if any(other.get(key) != value for other in others)]
    if not differing:
        return name
    return f"{name}, " + ", ".join(f"{key.replace('_', '-')} {mine[key]}" for key in differing)
