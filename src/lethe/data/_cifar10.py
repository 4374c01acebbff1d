"""CIFAR-10, read through torchvision, which checks every file's sum before it unpickles it."""

from __future__ import annotations

from pathlib import Path

import torch

from lethe._check import LetheError
from lethe.data._image_set import ImageSet

# Of the training images; the values that the adversarial-training literature uses.
MEAN: tuple[float, ...] = (0.4914, 0.4822, 0.4465)
STD: tuple[float, ...] = (0.2471, 0.2435, 0.2616)


def read_cifar10(folder: str | None, *, train: bool, download: bool) -> ImageSet:
    """50,000 training or 10,000 test images of 32×32 pixels, as uint8.

    Args:
        folder: the one that holds, or with ``download`` will hold, ``cifar-10-batches-py``.
        train: which of the two.
        download: fetch the files if they are not there.

    Raises:
        LetheError: no folder given, files missing, or damaged (their checksums are wrong).
    """
    from torchvision.datasets import CIFAR10

    if folder is None:
        raise LetheError("cifar10 needs --data-dir, the folder that holds cifar-10-batches-py.")
    root = Path(folder)
    if not download and not (root / CIFAR10.base_folder).is_dir():
        raise LetheError(
            f"no {CIFAR10.base_folder} in {str(root)!r}: unpack CIFAR-10 (python version) there, "
            "name another --data-dir, or add --download."
        )
    try:
        files = CIFAR10(root, train=train, download=download)
    except RuntimeError as error:
        if "corrupted" not in str(error):
            raise LetheError(f"CIFAR-10 could not be fetched into {str(root)!r}: {error}") from error
        raise LetheError(
            f"CIFAR-10 in {str(root / CIFAR10.base_folder)!r} is incomplete or damaged (a checksum is wrong): "
            "delete it and unpack it again, or add --download."
        ) from error
    except OSError as error:
        raise LetheError(f"CIFAR-10 could not be read from or fetched into {str(root)!r}: {error}") from error
    images = torch.from_numpy(files.data).permute(0, 3, 1, 2).contiguous()
    return ImageSet(images, torch.tensor(files.targets), 10)
