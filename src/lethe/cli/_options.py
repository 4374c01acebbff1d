"""A recipe's options on the command line, through tyro, with errors in one line."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import re
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import tyro
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from lethe._check import LetheError, nearest, one_of
from lethe.recipes import ANYTIME_RECIPES, TRAIN_RECIPES, Recipe, load_recipe, published
from lethe.recipes._file import number

RecipeType = TypeVar("RecipeType", bound=Recipe)
Options = TypeVar("Options")

registry = ConstructorRegistry()
COMMANDS: dict[str, Mapping[str, type[Recipe]]] = {"train": TRAIN_RECIPES, "anytime": ANYTIME_RECIPES}
"""The recipes of each command that makes runs."""
TAKEN = ("--config", "--published", "--resume", "--seeds", "--sweep")
"""Options beside the recipe's own, which a command that makes runs takes out of the words first."""
SYNONYMS = {
    "--eps": "--epsilon",
    "--alpha": "--step-size",
    "--learning-rate": "--lr",
    "--lr-schedule": "--schedule",
    "--early-stopping": "--stop-patience",
    "--fp16": "--precision",
}
"""What options are called elsewhere."""


@registry.primitive_rule
def _fractions(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[float] | None:
    if info.type is not float:
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="FLOAT",
        instance_from_str=lambda words: number(words[0]),
        is_instance=lambda value: isinstance(value, float),
        str_from_instance=lambda value: [_as_fraction(value)],
    )


def _as_fraction(value: float) -> str:
    """8/255 where the decimal is endless; 0.2, which is 51/255, as it is."""
    whole = value * 255
    endless = len(str(value)) > 8
    return f"{round(whole)}/255" if endless and abs(whole - round(whole)) < 1e-9 else str(value)


def take(words: list[str], option: str) -> str | None:
    """Remove ``--option VALUE`` or ``--option=VALUE`` from ``words`` and return the value."""
    for at, word in enumerate(words):
        if word == option:
            if at + 1 == len(words) or words[at + 1].startswith("--"):
                raise LetheError(f"{option} needs a value.")
            value = words[at + 1]
            del words[at : at + 2]
            return value
        if word.startswith(option + "="):
            return words.pop(at).partition("=")[2]
    return None


def take_flag(words: list[str], option: str) -> bool:
    """Remove ``--option`` from ``words``, and say whether it was there."""
    there = option in words
    if there:
        words.remove(option)
    return there


def parse_recipe(
    command: str, words: list[str], known: Mapping[str, type[RecipeType]], extra_help: str
) -> RecipeType | None:
    """The recipe that the words describe; None after printing help.

    Args:
        command: ``train`` or ``anytime``.
        words: ``[RECIPE] [--config FILE | --published] [--option value ...]``.
        known: recipes by name.
        extra_help: lines for the help text, on options outside the recipe.

    Raises:
        LetheError: an unknown recipe or option, or a value out of range.
    """
    if words and words[0] in ("-h", "--help"):
        print(f"usage: lethe {command} RECIPE [OPTIONS]\n")
        for name, kind in known.items():
            print(f"  {name:15} {(kind.__doc__ or '').strip()}")
        print(f"\n'lethe {command} RECIPE --help' lists its options.{extra_help}")
        return None
    config, as_published = take(words, "--config"), take_flag(words, "--published")
    name = words.pop(0) if words and not words[0].startswith("-") else ""
    for other, recipes in COMMANDS.items():
        if name in recipes and name not in known:
            raise LetheError(f"{name!r} is a recipe of lethe {other}: lethe {other} {name}.")
    if name:
        one_of("recipe", name, known)
    if config is not None and as_published:
        raise LetheError("--config and --published both say where to start from: leave one out.")
    if config is not None:
        default = load_recipe(Path(config), known)
        if name not in ("", default.name):
            raise LetheError(f"{config!r} is a config of {default.name!r}, not of {name!r}: leave the recipe out.")
    elif name:
        default = known[name]()
    else:
        raise LetheError(f"lethe {command} needs a recipe: {', '.join(known)}; or --config FILE.")
    if as_published:  # which ones, follows from the data set, network and augmentation that the words name
        kind = type(default)
        chosen = _parse(command, [w for w in words if w not in ("-h", "--help")], published(kind), extra_help)
        default = published(kind, chosen)
    return _parse(command, words, default, extra_help)


def _parse(command: str, words: list[str], default: RecipeType, extra_help: str) -> RecipeType | None:
    """The default recipe, changed as the words say; None after printing help."""
    kind = type(default)
    description = f"{(kind.__doc__ or '').strip()}\n\nSource: {kind.source}. Cost: {kind.cost}.{extra_help}"
    return parse_options(f"lethe {command} {default.name}", words, default, description, TAKEN)


def parse_options(
    command: str, words: list[str], default: Options, description: str, more: tuple[str, ...] = ()
) -> Options | None:
    """The default options, a dataclass, changed as the words say; None after printing help.

    Args:
        command: as it is typed, for the help.
        words: ``[--option value ...]``.
        default: where to start from.
        description: for the help.
        more: options that were taken out of the words before, to be named as the nearest.

    Raises:
        LetheError: an unknown option, or a value out of range.
    """
    kind = type(default)
    printed = io.StringIO()
    try:
        with contextlib.redirect_stderr(printed):
            options, unknown = tyro.cli(
                kind,
                prog=command,
                description=description,
                args=words,
                default=default,
                return_unknown_args=True,
                config=(tyro.conf.OmitArgPrefixes,),
                registry=registry,
            )
    except SystemExit as stop:
        if stop.code in (0, None):
            return None
        raise LetheError(_one_line(printed.getvalue())) from None
    if unknown:
        known = [*(f"--{option.replace('_', '-')}" for option in _types(kind)), *more]
        word = unknown[0]
        if word.partition("=")[0] in more:
            raise LetheError(f"{word.partition('=')[0]} is given more than once: leave one out.")
        what = f"unknown option {word.partition('=')[0]!r}" if word.startswith("-") else f"unexpected word {word!r}"
        meant = SYNONYMS.get(word.partition("=")[0], "")
        hint = f" Did you mean {meant!r}?" if meant in known else nearest(word.partition("=")[0], known)
        raise LetheError(f"{what}.{hint} '{command} --help' lists all options.")
    return options


def flags(kinds: Iterable[type[Recipe]]) -> set[str]:
    """Those options of these recipes that are on or off: ``--channels-last`` or ``--no-channels-last``."""
    return {f"--{name.replace('_', '-')}" for kind in kinds for name, type_ in _types(kind).items() if type_ is bool}


def _types(kind: Any) -> dict[str, Any]:
    """The type of each option, those of sections among them."""
    types = typing.get_type_hints(kind)
    found: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        inner = types[field.name]
        found |= _types(inner) if dataclasses.is_dataclass(inner) else {field.name: inner}
    return found


def _one_line(box: str) -> str:
    """The message in tyro's box: the lines between its title and the next rule, without decoration."""
    lines = [re.sub(r"[─╭╮╰╯│├┤-]{3,}", "---", line).strip(" │") for line in box.splitlines()]
    body: list[str] = []
    for line in lines[1:]:
        if line == "---":
            if body:
                break
            continue
        body.append(line)
    message = " ".join(word for word in body if word) or " ".join(box.split())
    # A check of ours, raised while tyro built a section, speaks for itself; tyro's own name the option.
    return re.sub(r"^Error parsing [A-Za-z_]+: ", "", message).replace("Error parsing --", "--")
