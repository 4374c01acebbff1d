"""Recipes from JSON files: what a run directory keeps and ``--config`` reads."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from lethe._check import LetheError, nearest, one_of
from lethe.recipes._base import Recipe

RecipeType = TypeVar("RecipeType", bound=Recipe)


def number(text: str) -> float:
    """A number or a fraction: ``0.5`` or ``8/255``."""
    numerator, slash, denominator = text.partition("/")
    try:
        return float(numerator) / float(denominator) if slash else float(text)
    except ZeroDivisionError:
        raise ValueError(f"cannot divide by zero: {text!r}") from None


def load_recipe(path: Path, known: Mapping[str, type[RecipeType]]) -> RecipeType:
    """The recipe that a config file describes.

    Args:
        path: a run directory, its ``config.json``, or a file like it; options it leaves out take the recipe's defaults.
        known: recipes by name.

    Raises:
        LetheError: no such file, not JSON, or a recipe or option that does not exist.
    """
    path = path / "config.json" if path.is_dir() else path
    try:
        content = json.loads(path.read_text())
    except OSError as error:
        raise LetheError(f"the config {str(path)!r} cannot be read: {error.strerror}.") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise LetheError(f"the config {str(path)!r} is not JSON: {error}.") from error
    if not isinstance(content, dict) or "recipe" not in content:
        raise LetheError(f"the config {str(path)!r} names no recipe: it needs an entry 'recipe'.")
    _fill_as_it_was(content)
    kind = known[one_of(f"recipe in {str(path)!r}", str(content.pop("recipe")), known)]
    recipe: RecipeType = _build(kind(), content, str(path))
    return recipe


def with_defaults(options: dict[str, Any], known: Mapping[str, type[Recipe]]) -> dict[str, Any]:
    """A run's saved options, and at their defaults those that its recipe did not have when the run was made.

    Args:
        options: what ``config.json`` holds. A recipe or an option that is not known, of a newer version say, is left
            as it is.
        known: recipes by name.
    """
    kind = known.get(str(options.get("recipe")))
    if kind is None:
        return options
    defaults = kind().options()
    options = dict(options)
    _fill_as_it_was(options)
    return defaults | {
        name: {**defaults[name], **section} if isinstance(section, dict) and name in defaults else section
        for name, section in options.items()
    }


AS_IT_WAS = {
    "compute": ("precision", "fp32"),
    "schedule": ("schedule", "piecewise"),
    "fomo": ("stable_statistics", "average"),
}
"""Of a section an option that some runs were made without, and what these did, whatever the default is now."""


def _fill_as_it_was(options: dict[str, Any]) -> None:
    """Runs made before there was a choice were all made in one way, in which they go on."""
    run = options.get("run")
    if not isinstance(run, dict) or "device" not in run:  # a config by hand, which leaves out what it likes
        return
    for section, (option, value) in AS_IT_WAS.items():
        if section in options and isinstance(options[section], dict):
            options[section] = {option: value, **options[section]}
        elif section == "compute":
            options[section] = {option: value}


def _build(default: Any, content: Any, where: str) -> Any:
    """The default, a dataclass, with what a dictionary says in its place, sections within sections."""
    if not isinstance(content, dict):
        raise LetheError(f"{where} must be a section with options, got {content!r}.")
    types = typing.get_type_hints(type(default))
    fields = {field.name for field in dataclasses.fields(default)}
    values = {}
    for key, value in content.items():
        if key not in fields:
            raise LetheError(f"{where} has an unknown option {key!r}.{nearest(key, fields)}")
        if dataclasses.is_dataclass(types[key]):
            values[key] = _build(getattr(default, key), value, f"{where}: {key}")
        else:
            values[key] = _typed(value, types[key], f"{where}: {key}")
    return dataclasses.replace(default, **values)


def _typed(value: Any, kind: Any, where: str) -> Any:
    """``value`` as the option's type, or an error that says which it must be."""
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise LetheError(f"{where} must be a list, got {value!r}.")
        return tuple(_typed(item, typing.get_args(kind)[0], where) for item in value)
    allowed = typing.get_args(kind) or (kind,)
    if float in allowed and type(value) is int:
        return float(value)
    if float in allowed and isinstance(value, str) and "/" in value:
        with contextlib.suppress(ValueError):
            return number(value)
    if type(value) not in allowed:
        names = " or ".join("null" if k is type(None) else k.__name__ for k in allowed)
        raise LetheError(f"{where} must be {names}, got {value!r}.")
    return value
