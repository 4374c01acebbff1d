"""What a tracker is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class Tracked:
    """The run that a tracker follows.

    Attributes:
        title: what kind of run it is: the recipe's name.
        where: its run directory, which exists; a tracker keeps its files there.
        project: what the tracker files the run under.
        options: its config: sections of options, as ``config.json`` has them.
    """

    title: str
    where: Path
    project: str
    options: Mapping[str, Any]

    def flat(self) -> dict[str, Any]:
        """The options as ``{"section.option": value}``."""
        flat: dict[str, Any] = {}
        for name, section in self.options.items():
            if isinstance(section, Mapping):
                flat |= {f"{name}.{option}": value for option, value in section.items()}
            else:
                flat[name] = section
        return flat


class Tracker(Protocol):
    """Is told of each record. It is made from a :class:`Tracked`, and may raise whatever it likes, there and later."""

    def log(self, numbers: Mapping[str, float], epoch: int, event: str | None) -> None:
        """A record's numbers, and what the method did in that epoch; epochs never fall."""
        ...

    def close(self, *, finished: bool) -> None:
        """The run has come to its end, or was stopped."""
        ...
