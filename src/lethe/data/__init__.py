"""Image sets that fit on the device: read, split, corrupted on demand, and cut into batches there."""

from lethe.data._augment import Augmentation
from lethe.data._augmentations import AUGMENTATIONS, augmentation
from lethe.data._batches import batches, steps_per_epoch
from lethe.data._config import DataConfig, Splits, facts, load
from lethe.data._image_set import ImageSet
from lethe.data._image_side import image_side

__all__ = [
    "AUGMENTATIONS",
    "Augmentation",
    "DataConfig",
    "ImageSet",
    "Splits",
    "augmentation",
    "batches",
    "facts",
    "image_side",
    "load",
    "steps_per_epoch",
]
