"""A megabatch of image files, a folder a class, that arrives while a run waits."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from numpy.typing import NDArray

from lethe._check import LetheError
from lethe.data import _image_folder
from lethe.data._config import FROM_FOLDERS, DataConfig
from lethe.data._load import class_numbers

Reader: TypeAlias = Callable[[Path], "tuple[NDArray[Any], NDArray[Any]]"]


def arriving_folder(config: DataConfig) -> Reader | None:
    """What reads a folder with a folder a class, as the data set's own; None: the data set is not one of folders.

    The images are decoded as the test images are. A class may be missing in a megabatch; a folder by another name is
    an error.

    Returns:
        From a path to images (n, 3, h, w), uint8, and labels (n,).
    """
    if config.dataset not in FROM_FOLDERS:
        return None
    number, decode = class_numbers(config), config.decoder()

    def read(path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
        names = sorted(entry.name for entry in os.scandir(path) if entry.is_dir() and not entry.name.startswith("."))
        if other := [name for name in names if name not in number]:
            raise LetheError(f"it has a folder {other[0]!r}, which is no class")
        there = {name: number[name] for name in names}
        found = _image_folder.read_part(path, there, len(set(number.values())), decode, 0).decoded()
        return found.images.numpy(), found.labels.numpy()

    return read
