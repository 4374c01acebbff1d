"""The augmentations by name, some of which depend on the data set, as in AMP's script."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lethe._check import LetheError, one_of
from lethe.data._augment import GREY, Augmentation, crop_flip, cutout, none, rotate
from lethe.data._random_resized_crop import RandomResizedCrop

AUGMENTATIONS = (
    "none",
    "flip",
    "crop-flip",
    "crop-flip-zero",
    "crop-flip-rotate",
    "random-resized-crop",
    "vanilla",
    "cutout",
    "autoaugment",
)


@dataclass(frozen=True)
class _Settings:
    """AMP's script, for images of 32 pixels; at other sizes they are scaled."""

    padding: int
    flip: bool
    hole: int
    policy: str | None
    crop_with_policy: bool = True


_SETTINGS = {
    "cifar10": _Settings(padding=4, flip=True, hole=16, policy="cifar10"),
    "cifar100": _Settings(padding=4, flip=True, hole=8, policy="cifar10"),
    "svhn": _Settings(padding=2, flip=False, hole=20, policy="svhn", crop_with_policy=False),
    "tiny-imagenet": _Settings(padding=4, flip=True, hole=16, policy=None),  # not in the script: as CIFAR-10
    "imagefolder": _Settings(padding=4, flip=True, hole=16, policy=None),  # not in the script: as CIFAR-10
    "restricted-imagenet": _Settings(padding=4, flip=True, hole=16, policy=None),  # not in the script: as CIFAR-10
    "digits": _Settings(padding=4, flip=False, hole=16, policy=None),  # not in the script; a flipped digit is none
}


def augmentation(name: str, dataset: str) -> Augmentation:
    """The augmentation of this name for this data set.

    ``none``; ``flip``: mirror half of the images; ``crop-flip``: reflect-pad by 4, crop, flip (the adversarial-training
    literature on CIFAR-10); ``crop-flip-zero``: the same with black padding (TRADES, MART, KD-SWA);
    ``crop-flip-rotate``: and a turn by up to 15 degrees (AWP, RWP and KD-SWA on CIFAR-100); ``random-resized-crop``: a
    random part, resized, and a flip (ImageNet); ``vanilla``: AMP's script without more, a crop of the image padded with
    grey, and a flip (not of digits and SVHN); ``cutout``: vanilla, and a black square; ``autoaugment``: vanilla (on
    SVHN without the crop), a random policy of AutoAugment (Cubuk et al., CVPR 2019), and the square.

    Raises:
        LetheError: unknown name, or no policy for this data set.
    """
    one_of("augment", name, AUGMENTATIONS)
    if name in _OF_ALL:
        return _OF_ALL[name]
    settings = _SETTINGS[dataset]
    if name == "autoaugment" and settings.policy is None:
        raise LetheError(f"AutoAugment has no policy for {dataset}: set augment to cutout or vanilla.")
    return _Published(settings, name)


def _flip(x: Tensor, generator: torch.Generator) -> Tensor:
    return crop_flip(x, generator, padding=0)


def _black_crop_flip(x: Tensor, generator: torch.Generator) -> Tensor:
    return crop_flip(x, generator, fill=0.0)


def _black_crop_flip_rotate(x: Tensor, generator: torch.Generator) -> Tensor:
    return rotate(_black_crop_flip(x, generator), generator, 15.0)


_OF_ALL: dict[str, Augmentation] = {
    "none": none,
    "flip": _flip,
    "crop-flip": crop_flip,
    "crop-flip-zero": _black_crop_flip,
    "crop-flip-rotate": _black_crop_flip_rotate,
    "random-resized-crop": RandomResizedCrop(),
}
"""Those that are the same for every data set."""


class _Published:
    """What AMP's script does before normalisation."""

    def __init__(self, settings: _Settings, name: str) -> None:
        self.settings, self.name = settings, name
        self.policy: Augmentation | None = None
        if name == "autoaugment" and settings.policy is not None:
            from lethe.data._autoaugment import AutoAugment

            self.policy = AutoAugment(settings.policy)

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        s, pixels = self.settings, x.shape[-1]
        if self.policy is None or s.crop_with_policy:
            padding = max(1, round(s.padding * pixels / 32))
            x = crop_flip(x, generator, padding, fill=GREY, flip=s.flip)
        if self.policy is not None:
            x = self.policy(x, generator)
        return x if self.name == "vanilla" else cutout(x, generator, round(s.hole * pixels / 32))
