"""CIFAR-10 and CIFAR-100, read through torchvision, which checks every file's sum before it unpickles it."""

from __future__ import annotations

from pathlib import Path

import torch

from lethe._check import LetheError
from lethe.data._image_set import ImageSet

FACTS = {
    # Mean and deviation of the training images; the values that the adversarial-training literature uses.
    "cifar10": (10, (0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616)),
    "cifar100": (100, (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
}


def read_cifar(dataset: str, folder: str | None, *, train: bool, download: bool) -> ImageSet:
    """50,000 training or 10,000 test images of 32×32 pixels, as uint8.

    Args:
        dataset: ``cifar10`` or ``cifar100``.
        folder: the one that holds, or with ``download`` will hold, ``cifar-10-batches-py`` or ``cifar-100-python``.
        train: which of the two.
        download: fetch the files if they are not there.

    Raises:
        LetheError: no folder given, files missing, or damaged (their checksums are wrong).
    """
    from torchvision.datasets import CIFAR10, CIFAR100

    kind, title = {"cifar10": (CIFAR10, "CIFAR-10"), "cifar100": (CIFAR100, "CIFAR-100")}[dataset]
    if folder is None:
        raise LetheError(f"{dataset} needs --data-dir, the folder that holds {kind.base_folder}.")
    root = Path(folder)
    if not download and not (root / kind.base_folder).is_dir():
        raise LetheError(
            f"no {kind.base_folder} in {str(root)!r}: unpack {title} (python version) there, "
            "name another --data-dir, or add --download."
        )
    try:
        files = kind(root, train=train, download=download)
    except RuntimeError as error:
        if "corrupted" not in str(error):
            raise LetheError(f"{title} could not be fetched into {str(root)!r}: {error}") from error
        raise LetheError(
            f"{title} in {str(root / kind.base_folder)!r} is incomplete or damaged (a checksum is wrong): "
            "delete it and unpack it again, or add --download."
        ) from error
    except OSError as error:
        raise LetheError(f"{title} could not be read from or fetched into {str(root)!r}: {error}") from error
    images = torch.from_numpy(files.data).permute(0, 3, 1, 2).contiguous()
    return ImageSet(images, torch.tensor(files.targets), FACTS[dataset][0])
