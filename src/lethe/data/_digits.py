"""scikit-learn's handwritten digits: real images that come with the installation."""

from __future__ import annotations

import torch

from lethe.data._image_set import ImageSet

MEAN: tuple[float, ...] = (0.3053,)
STD: tuple[float, ...] = (0.3761,)


def read_digits() -> ImageSet:
    """1,797 grey images of 8×8 pixels, in the bundled order; 16 grey levels become [0, 1]."""
    from sklearn.datasets import load_digits

    bundle = load_digits()
    images = torch.from_numpy(bundle.images).float().div_(16).unsqueeze(1)
    return ImageSet(images, torch.from_numpy(bundle.target).long(), 10)
