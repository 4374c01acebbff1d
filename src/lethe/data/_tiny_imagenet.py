"""Tiny ImageNet, read from its published folders."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from lethe._check import LetheError
from lethe.data._image_set import ImageSet

CLASSES = 200
SIDE = 64
# Of the training images; the values that public training scripts use.
MEAN: tuple[float, ...] = (0.4802, 0.4481, 0.3975)
STD: tuple[float, ...] = (0.2770, 0.2691, 0.2821)


def read_tiny_imagenet(folder: str | None, *, train: bool, classes: int = CLASSES) -> ImageSet:
    """100,000 training images, or the 10,000 of the published validation folder, of 64×64 pixels, as uint8.

    The published test images have no labels, so the validation folder is the test set, as everywhere in the
    literature. It is a single folder with ``val_annotations.txt``; one that was sorted into a folder a class is read
    as well. Classes are numbered by their sorted names. Grey images become RGB. All images are decoded.

    Args:
        folder: ``tiny-imagenet-200``, or the folder that holds it.
        train: which of the two.
        classes: how many there must be.

    Raises:
        LetheError: no folder given, folders or images missing, or an image that is damaged or of another size.
    """
    if folder is None:
        raise LetheError("tiny-imagenet needs --data-dir, the folder that holds tiny-imagenet-200.")
    inner = Path(folder) / "tiny-imagenet-200"
    root = inner if inner.is_dir() else Path(folder)
    if not (root / "train").is_dir() or not (root / "val").is_dir():
        raise LetheError(
            f"no train and val in {str(root)!r}: unpack tiny-imagenet-200.zip there, or name another --data-dir."
        )
    names = sorted(path.name for path in (root / "train").iterdir() if path.is_dir())
    if len(names) != classes:
        raise LetheError(
            f"{str(root / 'train')!r} has {len(names)} classes, not {classes}: unpack the whole archive again."
        )
    number = {name: index for index, name in enumerate(names)}
    if train or not (root / "val" / "val_annotations.txt").is_file():
        files = _in_class_folders(root / ("train" if train else "val"), names)
    else:
        files = _annotated(root / "val", number)
    with ThreadPoolExecutor() as pool:  # Pillow decodes without holding Python's lock
        images = list(pool.map(_decode, [path for path, _ in files]))
    labels = torch.tensor([number[name] for _, name in files])
    return ImageSet(torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous(), labels, classes)


def _in_class_folders(folder: Path, names: Sequence[str]) -> list[tuple[Path, str]]:
    found: list[tuple[Path, str]] = []
    for name in names:
        inner = folder / name / "images"
        images = sorted((inner if inner.is_dir() else folder / name).glob("*.JPEG"))
        if not images:
            raise LetheError(f"no .JPEG images in {str(folder / name)!r}: unpack the archive again.")
        found += [(path, name) for path in images]
    return found


def _annotated(folder: Path, number: dict[str, int]) -> list[tuple[Path, str]]:
    """The published validation folder: a line an image, its file, its class and a box, apart by tabs."""
    annotations = folder / "val_annotations.txt"
    found: list[tuple[Path, str]] = []
    for at, line in enumerate(annotations.read_text().splitlines(), 1):
        words = line.split("\t")
        if len(words) < 2 or words[1] not in number:
            raise LetheError(f"line {at} of {str(annotations)!r} names no class of train: unpack the archive again.")
        found.append((folder / "images" / words[0], words[1]))
    if not found:
        raise LetheError(f"{str(annotations)!r} is empty: unpack the archive again.")
    return found


def _decode(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    from PIL import Image

    try:
        with Image.open(path) as file:
            image = np.asarray(file.convert("RGB"))
    except OSError as error:
        raise LetheError(f"{str(path)!r} is missing or damaged ({error}): unpack the archive again.") from error
    if image.shape != (SIDE, SIDE, 3):
        height, width, _ = image.shape
        raise LetheError(f"{str(path)!r} has {width}x{height} pixels, not {SIDE}x{SIDE}: is it Tiny ImageNet?")
    return image
