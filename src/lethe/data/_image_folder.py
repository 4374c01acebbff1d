"""Images in a folder a class: any data set of one's own, and ImageNet."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import torch

from lethe._check import LetheError
from lethe.data._decode import EXTENSIONS, Decoder
from lethe.data._streamed_set import StreamedSet

# ImageNet's, of the training images: the values that public scripts and published networks use.
MEAN: tuple[float, ...] = (0.485, 0.456, 0.406)
STD: tuple[float, ...] = (0.229, 0.224, 0.225)
IN_MEMORY = 2**30
"""Bytes of decoded images up to which a part is decoded once and kept."""


def parts(folder: str | None, dataset: str = "imagefolder") -> dict[str, Path]:
    """The folders of the parts: ``train``, ``test``, and, where both are there, ``validation``.

    ``DATA_DIR/train/<class>/*`` are the training images. The test images are ``DATA_DIR/test/<class>/*``; where there
    is no ``test``, as in ImageNet, they are ``DATA_DIR/val/<class>/*``. Where there are both, ``val`` is the
    validation part.

    Raises:
        LetheError: no folder given, or no train, or neither val nor test in it.
    """
    if folder is None:
        raise LetheError(f"{dataset} needs --data-dir, the folder that holds train and val, with a folder a class.")
    root = Path(folder)
    train, val, test = (root / name for name in ("train", "val", "test"))
    if not train.is_dir() or not (val.is_dir() or test.is_dir()):
        raise LetheError(
            f"{str(root)!r} must hold train and val (or test), with a folder a class: name another --data-dir."
        )
    if not test.is_dir():
        return {"train": train, "test": val}
    return {"train": train, "test": test} | ({"validation": val} if val.is_dir() else {})


def class_names(train: Path) -> list[str]:
    """Names of the class folders, sorted: a class's place among them is its number.

    Raises:
        LetheError: fewer than two.
    """
    names = _folders(train)
    if len(names) < 2:
        raise LetheError(
            f"{str(train)!r} has {len(names)} class folders, which is too few to classify: put each class's images "
            "into a folder of its own."
        )
    return names


def read_part(folder: Path, number: Mapping[str, int], classes: int, decode: Decoder, workers: int) -> StreamedSet:
    """List the images of one part, in the order of the class folders' names and of theirs; none is decoded.

    Images may lie in folders within a class's. Files with other extensions and hidden ones are passed over.

    Args:
        folder: of the part.
        number: class by name of its folder; other folders must not be there unless they are named here.
        classes: how many there are.
        decode: how a file becomes an image.
        workers: processes that decode.

    Raises:
        LetheError: a class folder is missing, an image file is empty, or there is no image.
    """
    paths: list[str] = []
    labels: list[int] = []
    for name, label in sorted(number.items()):
        if not (folder / name).is_dir():
            raise LetheError(
                f"{str(folder)!r} has no folder {name!r}, which train has: sort its images by class, or make an empty "
                "folder if this class has none there."
            )
        found = _images_in(folder / name)
        paths += found
        labels += [label] * len(found)
    if not paths:
        raise LetheError(
            f"there is no image in the class folders of {str(folder)!r}: {', '.join(EXTENSIONS)} are read."
        )
    return StreamedSet(paths, torch.tensor(labels), classes, decode, workers)


def check_class_folders(folder: Path, known: list[str]) -> None:
    """Refuse a part that has a class folder that train does not have: its images would be left out.

    Raises:
        LetheError: it names the folder.
    """
    if other := sorted(set(_folders(folder)) - set(known)):
        raise LetheError(
            f"{str(folder)!r} has a folder {other[0]!r}, which train does not have: rename it, or move it."
        )


def check_every_class(data: StreamedSet, number: Mapping[str, int], folder: Path) -> None:
    """Refuse training images that leave a class out.

    Raises:
        LetheError: it names the class's folder.
    """
    counts = torch.bincount(data.labels, minlength=data.classes)
    if empty := [name for name, label in number.items() if counts[label] == 0]:
        raise LetheError(f"no image in {str(folder / empty[0])!r}: {', '.join(EXTENSIONS)} are read.")


def _folders(folder: Path) -> list[str]:
    return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))


def _images_in(folder: Path, above: tuple[str, ...] = ()) -> list[str]:
    here = os.path.realpath(folder)
    if here in above:
        raise LetheError(f"{str(folder)!r} leads back to a folder that it is in: remove the link.")
    found = []
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                found += _images_in(Path(entry.path), (*above, here))
            elif entry.name.lower().endswith(EXTENSIONS):
                if not entry.is_file() or entry.stat().st_size == 0:
                    raise LetheError(f"the image {entry.path!r} is empty or leads nowhere: put a whole file there.")
                found.append(entry.path)
    return found
