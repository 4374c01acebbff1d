"""SVHN's house numbers, read through torchvision, which checks the file's sum."""

from __future__ import annotations

from pathlib import Path

import torch

from lethe._check import LetheError
from lethe.data._image_set import ImageSet

# Of the training images, in grey levels, as in AMP's script.
MEAN: tuple[float, ...] = tuple(level / 255 for level in (109.9, 109.7, 113.8))
STD: tuple[float, ...] = tuple(level / 255 for level in (50.1, 50.6, 50.8))


def read_svhn(folder: str | None, *, train: bool, download: bool, extra: bool = False) -> ImageSet:
    """73,257 training or 26,032 test images of 32×32 pixels, as uint8.

    Args:
        folder: the one that holds, or with ``download`` will hold, ``train_32x32.mat`` and ``test_32x32.mat``.
        train: which of the two.
        download: fetch the file if it is not there.
        extra: add the 531,131 extra images, ``extra_32x32.mat``, to the training images, as SVHN's makers meant them
            (Netzer et al., 2011). They are easier, and take 1.6 GB.

    Raises:
        LetheError: no folder given, file missing, or damaged (its checksum is wrong).
    """
    if not train:
        return _read_split(folder, "test", download=download)
    first = _read_split(folder, "train", download=download)
    if not extra:
        return first
    second = _read_split(folder, "extra", download=download)
    images, labels = torch.cat((first.images, second.images)), torch.cat((first.labels, second.labels))
    return ImageSet(images, labels, first.classes)


def _read_split(folder: str | None, split: str, *, download: bool) -> ImageSet:
    from torchvision.datasets import SVHN

    name = SVHN.split_list[split][1]
    if folder is None:
        raise LetheError("svhn needs --data-dir, the folder that holds train_32x32.mat and test_32x32.mat.")
    path = Path(folder) / name
    if not download and not path.is_file():
        raise LetheError(f"no {name} in {folder!r}: put it there, name another --data-dir, or add --download.")
    try:
        files = SVHN(folder, split=split, download=download)
    except RuntimeError as error:
        if "corrupted" not in str(error):
            raise LetheError(f"SVHN could not be fetched into {folder!r}: {error}") from error
        raise LetheError(
            f"{str(path)!r} is damaged (its checksum is wrong): delete it and fetch it again, or add --download."
        ) from error
    except OSError as error:
        raise LetheError(f"SVHN could not be read from or fetched into {folder!r}: {error}") from error
    return ImageSet(torch.from_numpy(files.data).contiguous(), torch.from_numpy(files.labels).long(), 10)
