"""How large a data set's images are, known before any is read."""

from __future__ import annotations

from lethe.data._config import FROM_FOLDERS, DataConfig

SIDES = {"digits": 8, "cifar10": 32, "cifar100": 32, "svhn": 32, "tiny-imagenet": 64}


def image_side(config: DataConfig) -> int | None:
    """Height and width in pixels of the images that a network is given; None: not known for this data set."""
    if config.dataset in FROM_FOLDERS:
        return config.decoder().size
    return config.image_size or SIDES.get(config.dataset)
