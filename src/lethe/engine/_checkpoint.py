"""Checkpoints that are whole or not there, and that load without running code."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import torch

from lethe._check import LetheError
from lethe._files import write_file


def save_checkpoint(path: Path, state: dict[str, Any], *, previous: Path | None = None) -> None:
    """Write ``state`` beside ``path`` and move it into place, so that a crash leaves the old file or the new.

    Args:
        path: of the checkpoint.
        state: tensors, numbers, strings, lists and dictionaries.
        previous: where the checkpoint that is there now is kept; None: it is replaced.

    Raises:
        LetheError: it cannot be written, because the disk is full, say; the old one is as it was.
    """
    keep = None if previous is None else lambda: _keep(path, previous)
    write_file(path, lambda file: torch.save(state, file), before=keep)


def _keep(path: Path, previous: Path) -> None:
    """Give the checkpoint a second name, so that there is no moment without it under the first."""
    if not path.is_file():
        return
    link = previous.with_name(previous.name + ".tmp")
    link.unlink(missing_ok=True)
    try:
        os.link(path, link)
    except OSError:  # a file system without hard links: for a moment there is the previous one alone
        path.replace(previous)
    else:
        link.replace(previous)
        link.unlink(missing_ok=True)  # where both are one file already, moving one onto the other leaves both names


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU with ``weights_only=True``: nothing in the file is executed.

    Raises:
        LetheError: there is no such file, or it is damaged: cut short, or one of its bits is not what was written.
    """
    if not path.is_file():
        raise LetheError(f"no checkpoint {str(path)!r}: the run stopped before it saved its first one.")
    try:
        damaged = _damaged_part(path)
        state = None if damaged else torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what a damaged file makes a reader raise has no limits
        raise LetheError(f"the checkpoint {str(path)!r} cannot be read (damaged, or not a checkpoint).") from error
    if not isinstance(state, dict):
        raise LetheError(f"the checkpoint {str(path)!r} cannot be read (damaged, or not a checkpoint).")
    return state


def _damaged_part(path: Path) -> str | None:
    """The first part of the archive whose checksum is wrong; torch itself does not look at them."""
    if not zipfile.is_zipfile(path):
        return None  # an old file, or none of torch's: torch.load decides
    with zipfile.ZipFile(path) as archive:
        return archive.testzip()
