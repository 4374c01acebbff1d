"""Run directories, grouped: runs that differ in nothing but the seed belong together."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lethe._check import LetheError
from lethe.engine import RunDirectory
from lethe.report._labels import labels_of, what_matters


@dataclass(frozen=True)
class Group:
    """Runs of one config with different seeds.

    Attributes:
        label: the recipe, and the options in which it differs from other groups of the same recipe.
        options: the config of the first run.
        runs: the records of each run.
        seeds: of each run.
        environments: versions, commit, command and machine of each run.
        classes: names of the classes, of runs on folders of one's own.
        name: to be its label in every table, such as what its runs' folders are called but for the seed; else none.
    """

    label: str
    options: dict[str, Any]
    runs: list[list[dict[str, Any]]]
    seeds: list[int]
    environments: list[dict[str, Any]] = field(default_factory=list)
    classes: list[str] | None = None
    name: str = ""

    @property
    def recipe(self) -> str:
        """Name of the recipe."""
        return str(self.options["recipe"])


def group_runs(
    directories: Sequence[RunDirectory],
    *,
    complete: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    by_folder: bool = False,
) -> list[Group]:
    """Read runs and put those of one config together, in the order given.

    Args:
        directories: finished runs.
        complete: adds to a run's options those that there were not yet when it was made; None: they are taken as
            they stand.
        by_folder: a group is called as the folder of its first run, without the seed, and not by its options.

    Raises:
        LetheError: a run is not finished, or two have the same config and seed.
    """
    grouped: dict[str, list[tuple[RunDirectory, dict[str, Any]]]] = {}
    for directory in directories:
        if directory.summary() is None:
            command = "anytime" if "stream" in directory.config() else "train"
            raise LetheError(
                f"the run {str(directory.path)!r} is not finished: leave it out, or continue it with "
                f"lethe {command} --resume {directory.path}."
            )
        options = directory.config() if complete is None else complete(directory.config())
        key = json.dumps([what_matters(options), directory.classes()], sort_keys=True)
        grouped.setdefault(key, []).append((directory, options))
    firsts = [members[0][1] for members in grouped.values()]
    groups = []
    for label, first, members in zip(labels_of(firsts), firsts, grouped.values(), strict=True):
        seeds = [options["run"]["seed"] for _, options in members]
        if len(set(seeds)) < len(seeds):
            twice = [str(d.path) for d, options in members if seeds.count(options["run"]["seed"]) > 1][:2]
            what = f"two runs of {first['recipe']!r} have the same config and the same seed"
            raise LetheError(f"{what}: leave one out of {twice[0]!r} and {twice[1]!r}.")
        records = [directory.records() for directory, _ in members]
        environments = [directory.environment() for directory, _ in members]
        name = _stem(members[0][0].path, seeds[0]) if by_folder else ""
        groups.append(Group(name or label, first, records, seeds, environments, members[0][0].classes(), name))
    return groups


def _stem(path: Path, seed: int) -> str:
    """``amp`` of ``amp-seed3``, of ``amp-3`` and of ``amp/seed3``, if 3 is the seed."""
    stem = re.sub(rf"(?:[-_]?seed[-_]?|[-_]){seed}$", "", path.name)
    return stem or path.absolute().parent.name


def measured_alike(groups: Sequence[Group]) -> list[list[Group]]:
    """Groups whose numbers may stand in one table, labelled by the recipe and the options in which they differ.

    Test images, attack and stream must be the same.

    Raises:
        LetheError: two that are called by their folders have the same name.
    """
    found: dict[tuple[object, ...], list[Group]] = {}
    for group in groups:
        found.setdefault((*_measured_on(group.options), *(group.classes or [])), []).append(group)
    for alike in found.values():
        named = [group.name for group in alike if group.name]
        if twice := sorted({name for name in named if named.count(name) > 1}):
            raise LetheError(
                f"runs that differ in more than their seed would both be called {twice[0]!r}: rename their folders, or "
                "leave out --by-folder."
            )
    return [
        [
            replace(g, label=g.name or label)
            for g, label in zip(alike, labels_of([g.options for g in alike]), strict=True)
        ]
        for alike in found.values()
    ]


def _measured_on(options: dict[str, Any]) -> tuple[object, ...]:
    data = options["data"]
    key: list[object] = [data[name] for name in ("dataset", "image_size", "test_size", "split_seed")]
    key += [data.get(name) for name in ("restricted_classes", "short_side")]  # which older runs do not have
    if "stream" in options:
        stream = options["stream"]
        key += [stream.get(name) for name in ("megabatch_size", "arrivals")]
        if options.get("learning", {}).get("adversarial"):
            key += [options["attack"][name] for name in ("norm", "epsilon", "step_size")]
            key.append(options["learning"]["eval_steps"])
        return ("anytime", stream["megabatches"], *key)
    if "attack" in options:
        attack = [options["attack"][name] for name in ("norm", "epsilon", "step_size")]
        evaluation = options["evaluation"]
        return ("robust", evaluation["eval_steps"], evaluation.get("eval_early_stop", False), *attack, *key)
    return ("standard", *key)
