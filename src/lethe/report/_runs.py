"""Run directories, grouped: runs that differ in nothing but the seed belong together."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lethe._check import LetheError
from lethe.engine import RunDirectory

LABELS = {
    "sgd": "SGD",
    "amp": "AMP",
    "sam": "SAM",
    "rmp": "RMP",
    "at": "AT",
    "trades": "TRADES",
    "mart": "MART",
    "fomo": "FOMO",
    "awp": "AT-AWP",
    "rwp": "AT-RWP",
    "at-amp": "AT-AMP",
    "at-ema": "AT, EMA",
    "at-swa": "AT, SWA",
    "kd-swa": "KD-SWA",
    "alma": "ALMA (warm start)",
    "lure": "LURE",
    "scratch": "from scratch",
    "shrink-perturb": "shrink and perturb",
    "llf": "LLF",
    "rifle": "RIFLE",
    "random-forgetting": "random forgetting",
}
"""Recipes that are written otherwise than they are named."""


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


def group_runs(
    directories: Sequence[RunDirectory], *, complete: Callable[[dict[str, Any]], dict[str, Any]] | None = None
) -> list[Group]:
    """Read runs and put those of one config together, in the order given.

    Args:
        directories: finished runs.
        complete: adds to a run's options those that there were not yet when it was made; None: they are taken as
            they stand.

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
        key = json.dumps(_what_matters(options), sort_keys=True)
        grouped.setdefault(key, []).append((directory, options))
    firsts = [members[0][1] for members in grouped.values()]
    groups = []
    for first, members in zip(firsts, grouped.values(), strict=True):
        seeds = [options["run"]["seed"] for _, options in members]
        if len(set(seeds)) < len(seeds):
            twice = [str(d.path) for d, options in members if seeds.count(options["run"]["seed"]) > 1][:2]
            what = f"two runs of {first['recipe']!r} have the same config and the same seed"
            raise LetheError(f"{what}: leave one out of {twice[0]!r} and {twice[1]!r}.")
        records = [directory.records() for directory, _ in members]
        environments = [directory.environment() for directory, _ in members]
        groups.append(Group(_label(first, firsts), first, records, seeds, environments))
    return groups


def measured_alike(groups: Sequence[Group]) -> list[list[Group]]:
    """Groups whose numbers may stand in one table, labelled by the recipe and the options in which they differ.

    Test images, attack and stream must be the same.
    """
    found: dict[tuple[object, ...], list[Group]] = {}
    for group in groups:
        found.setdefault(_measured_on(group.options), []).append(group)
    return [
        [replace(g, label=_label(g.options, [o.options for o in alike])) for g in alike] for alike in found.values()
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


def _what_matters(options: dict[str, Any]) -> dict[str, Any]:
    """The options without those that cannot change a result."""
    idle = {
        "run": ("seed", "device", "checkpoint_minutes"),
        "data": ("data_dir", "download", "workers"),
        "compute": ("devices", "strategy"),
        "evaluation": ("eval_batch_size",),
        "distillation": ("clean_teacher", "robust_teacher"),  # each seed may well have its own
    }
    if "attack" not in options:
        idle["evaluation"] = ("eval_batch_size", "eval_steps", "eval_early_stop")
    return {
        name: {k: v for k, v in section.items() if k not in idle.get(name, ())}
        if isinstance(section, dict)
        else section
        for name, section in options.items()
        if name != "track"
    }


def _label(options: dict[str, Any], everyone: Sequence[dict[str, Any]]) -> str:
    """The recipe, and the options in which others of the same recipe differ, or that others were run under."""
    recipe = options["recipe"]
    name = LABELS.get(recipe, str(recipe))
    objective = options.get("robust", {}).get("objective", "pgd-at")
    if objective not in ("pgd-at", recipe):
        name += f" over {LABELS[objective]}"
    rule = options.get("learning", {}).get("optimizer_rule", "sgd")
    weights = options.get("weights", {}).get("weights", rule)
    if weights != "sgd":
        name += f" with {LABELS[weights].removeprefix('AT-')}"
    if options.get("learning", {}).get("adversarial"):
        name += " under attack"
    silent = {"learning", "weights"}  # what they say stands in the name
    if silent & options.keys():
        silent |= {"amp", "awp", "sam"} - {weights}  # which nothing reads
    differing = [
        (section, key)
        for section, key, value in _flat(options)
        if section not in silent
        and any(_differs(other, section, key, value, same=other["recipe"] == recipe) for other in everyone)
    ]
    if not differing:
        return name
    return f"{name}, " + ", ".join(f"{key.replace('_', '-')} {options[section][key]}" for section, key in differing)


SHARED = ("data", "model", "schedule", "sgd", "attack", "stream", "megabatch")
"""Sections that say under which conditions a recipe was run; the others are what it is."""


def _differs(other: dict[str, Any], section: str, key: str, value: object, *, same: bool) -> bool:
    """Whether this option tells the other run apart: any, of the same recipe; a condition, of another one."""
    if not same and (section not in SHARED or key == "dropout"):  # which is what the recipe of that name is
        return False
    theirs: object = other.get(section, {}).get(key, value)
    return theirs != value


def _flat(options: dict[str, Any]) -> list[tuple[str, str, Any]]:
    sections = [(name, section) for name, section in _what_matters(options).items() if isinstance(section, dict)]
    return [(name, key, value) for name, section in sections for key, value in section.items()]
