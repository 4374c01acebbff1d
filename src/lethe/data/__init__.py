"""Image sets that fit on the device: read, split, corrupted on demand, and cut into batches there."""

from lethe.data._augment import AUGMENTATIONS
from lethe.data._batches import batches
from lethe.data._config import DataConfig, Splits, facts, load
from lethe.data._image_set import ImageSet

__all__ = ["AUGMENTATIONS", "DataConfig", "ImageSet", "Splits", "batches", "facts", "load"]
