"""Image sets, on the device or streamed from files: read, split, corrupted on demand, and cut into batches."""

from lethe.data._arriving_folder import arriving_folder
from lethe.data._augment import Augmentation
from lethe.data._augmentations import AUGMENTATIONS, augmentation
from lethe.data._batches import batches, steps_per_epoch
from lethe.data._config import DataConfig
from lethe.data._image_set import ImageSet
from lethe.data._image_side import image_side
from lethe.data._load import Splits, class_names, facts, load
from lethe.data._random_resized_crop import RandomResizedCrop
from lethe.data._streamed_set import StreamedSet

__all__ = [
    "AUGMENTATIONS",
    "Augmentation",
    "DataConfig",
    "ImageSet",
    "RandomResizedCrop",
    "Splits",
    "StreamedSet",
    "arriving_folder",
    "augmentation",
    "batches",
    "class_names",
    "facts",
    "image_side",
    "load",
    "steps_per_epoch",
]
