"""Checks of arguments: each either returns the value or raises one line that says what to do."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from typing import TypeVar

Number = TypeVar("Number", int, float)


class LetheError(ValueError):
    """A mistake in what the user asked for: the message is one line, says what is wrong and what to do."""


class ToldError(LetheError):
    """The same, in a process beside the one that tells the user."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the closest known word, or an empty string."""
    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" Did you mean {matches[0]!r}?" if matches else ""


def one_of(name: str, value: str, known: Iterable[str]) -> str:
    """Return ``value`` if it is one of ``known``; else raise, naming the nearest."""
    known = list(known)
    if value not in known:
        raise LetheError(f"unknown {name} {value!r}.{nearest(value, known)} Known: {', '.join(known)}.")
    return value


def fraction(name: str, value: float) -> float:
    """Return ``value`` if it lies in [0, 1]."""
    if not 0.0 <= value <= 1.0:  # also refuses nan
        raise LetheError(f"{name} must lie in [0, 1], got {value}: it is a share, 0.035 for 3.5 %.")
    return value


def non_negative(name: str, value: float) -> float:
    """Return ``value`` if it is finite and at least 0."""
    if not (math.isfinite(value) and value >= 0.0):
        raise LetheError(f"{name} must be a finite number of at least 0, got {value}.")
    return value


def positive(name: str, value: float) -> float:
    """Return ``value`` if it is finite and above 0."""
    if not (math.isfinite(value) and value > 0.0):
        raise LetheError(f"{name} must be above 0, got {value}.")
    return value


def whole(name: str, value: int, minimum: int) -> int:
    """Return ``value`` if it is a whole number of at least ``minimum``."""
    if value != value // 1:
        raise LetheError(f"{name} must be a whole number, got {value!r}.")
    return at_least(name, value, minimum)


def seed(name: str, value: int) -> int:
    """Return ``value`` if torch's and NumPy's generators take it, and some more for ranks and streams."""
    if not 0 <= value < 2**62:
        raise LetheError(f"{name} must lie in [0, 2**62), got {value}.")
    return value


def at_least(name: str, value: Number, minimum: int) -> Number:
    """Return ``value`` if it is at least ``minimum``."""
    if not value >= minimum:  # also refuses nan
        raise LetheError(f"{name} must be at least {minimum}, got {value}.")
    return value
