"""What a row of a report is called: the recipe, and the options that tell it from the other rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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


def what_matters(options: dict[str, Any]) -> dict[str, Any]:
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


MOST = 3
"""So many differing options each row of a recipe names; of more, those in which it differs from the first row."""


def labels_of(everyone: Sequence[dict[str, Any]]) -> list[str]:
    """Of each config: the recipe, and the options in which others of it differ, or that others were run under."""
    return [", ".join([_name(options), *_told(options, everyone)]) for options in everyone]


def notes_on(everyone: Sequence[dict[str, Any]]) -> list[str]:
    """Of each recipe whose rows differ in many options: what its first row stands for, which the labels do not say."""
    notes = []
    for recipe in dict.fromkeys(options["recipe"] for options in everyone):
        kin = _kin(recipe, everyone)
        if _differ_in_many(kin):
            name, values = LABELS.get(recipe, str(recipe)), ", ".join(_values(kin[0], _differing(kin[0], kin)))
            notes.append(f"{name}, the first row of it, has {values}; the others name in what they differ from it.")
    return notes


def _told(options: dict[str, Any], everyone: Sequence[dict[str, Any]]) -> list[str]:
    kin = _kin(options["recipe"], everyone)
    if not _differ_in_many(kin):
        return _values(options, _differing(options, everyone))
    if options is not kin[0]:
        return _values(options, _differing(options, kin[:1]))
    # Of the first, the conditions that other recipes had otherwise.
    return _values(options, _differing(options, [other for other in everyone if other["recipe"] != options["recipe"]]))


def _kin(recipe: str, everyone: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [other for other in everyone if other["recipe"] == recipe]


def _differ_in_many(kin: Sequence[dict[str, Any]]) -> bool:
    return max(len(_differing(options, kin)) for options in kin) > MOST


def _values(options: dict[str, Any], told: Sequence[tuple[str, str]]) -> list[str]:
    values = [(key.replace("_", "-"), options[section][key]) for section, key in told]
    return [f"{name} {'unset' if value is None else value}" for name, value in values]


def _name(options: dict[str, Any]) -> str:
    """The recipe, with the objective and the rule that it was run with."""
    recipe = options["recipe"]
    name = LABELS.get(recipe, str(recipe))
    objective = options.get("robust", {}).get("objective", "pgd-at")
    if objective not in ("pgd-at", recipe):
        name += f" over {LABELS[objective]}"
    if (weights := _rule(options)) != "sgd":
        name += f" with {LABELS[weights].removeprefix('AT-')}"
    if options.get("learning", {}).get("adversarial"):
        name += " under attack"
    return name


def _rule(options: dict[str, Any]) -> str:
    rule = options.get("learning", {}).get("optimizer_rule", "sgd")
    return str(options.get("weights", {}).get("weights", rule))


def _differing(options: dict[str, Any], everyone: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """The options, by section and name, that tell a run apart from any of the others."""
    silent = {"learning", "weights"}  # what they say stands in the name
    if silent & options.keys():
        silent |= {"amp", "awp", "sam"} - {_rule(options)}  # which nothing reads
    return [
        (section, key)
        for section, key, value in _flat(options)
        if section not in silent
        and any(_differs(other, section, key, value, same=other["recipe"] == options["recipe"]) for other in everyone)
    ]


SHARED = ("data", "model", "schedule", "sgd", "attack", "stream", "megabatch")
"""Sections that say under which conditions a recipe was run; the others are what it is."""


def _differs(other: dict[str, Any], section: str, key: str, value: object, *, same: bool) -> bool:
    """Whether this option tells the other run apart: any, of the same recipe; a condition, of another one."""
    if not same and (section not in SHARED or key == "dropout"):  # which is what the recipe of that name is
        return False
    theirs: object = other.get(section, {}).get(key, value)
    return theirs != value


def _flat(options: dict[str, Any]) -> list[tuple[str, str, Any]]:
    sections = [(name, section) for name, section in what_matters(options).items() if isinstance(section, dict)]
    return [(name, key, value) for name, section in sections for key, value in section.items()]
