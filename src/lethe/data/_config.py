"""Which data a run uses, and how it is split."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from lethe._check import LetheError, at_least, one_of
from lethe._check import fraction as check_fraction
from lethe.data import _cifar, _digits, _svhn, _tiny_imagenet
from lethe.data._augment import Augmentation
from lethe.data._augmentations import AUGMENTATIONS, augmentation
from lethe.data._image_set import ImageSet
from lethe.data._label_noise import with_label_noise

DATASETS = ("digits", "cifar10", "cifar100", "svhn", "tiny-imagenet")


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """The data set and its parts. Sizes are counts of images; the parts never overlap."""

    dataset: str = "digits"
    """digits (bundled with scikit-learn, 8x8), cifar10, cifar100, svhn (without its extra images) or tiny-imagenet."""
    data_dir: str | None = None
    """Folder that holds cifar-10-batches-py, cifar-100-python, SVHN's .mat files or tiny-imagenet-200."""
    download: bool = False
    """Fetch the data set into data-dir if it is not there."""
    train_size: int | None = None
    """Training images; none: all that the other parts leave."""
    validation_size: int | None = None
    """Held-out images to choose the best epoch on; none: a tenth of the training images (digits: 297)."""
    test_size: int | None = None
    """Test images; none: all of the test set (digits: 500)."""
    split_seed: int = 0
    """Seed of the split and of the label noise; the run's seed does not change them."""
    label_noise: float = 0.0
    """Share of the training labels replaced by a wrong class."""
    image_size: int | None = None
    """Average-pool the images to this height and width."""
    augment: str = "none"
    """none; crop-flip: random crop after reflect-padding by 4, and flip; crop-flip-zero: after black padding;
    crop-flip-rotate: and a turn by up to 15 degrees; and of AMP's script vanilla (crop after grey padding, flip),
    cutout (vanilla and a black square), autoaugment (vanilla, a policy, and the square)."""

    def __post_init__(self) -> None:
        one_of("dataset", self.dataset, DATASETS)
        one_of("augment", self.augment, AUGMENTATIONS)
        check_fraction("label_noise", self.label_noise)
        for name, minimum in (("train_size", 1), ("validation_size", 0), ("test_size", 1), ("image_size", 1)):
            if (value := getattr(self, name)) is not None:
                at_least(name, value, minimum)
        self.augmentation()

    def augmentation(self) -> Augmentation:
        """What is done to the training images."""
        return augmentation(self.augment, self.dataset)


@dataclass(frozen=True)
class Splits:
    """The parts of a data set, and the mean and deviation of its channels."""

    train: ImageSet
    validation: ImageSet
    test: ImageSet
    mean: tuple[float, ...]
    std: tuple[float, ...]
    noisy_labels: int

    def __str__(self) -> str:
        parts = f"{len(self.train):,} training, {len(self.validation):,} validation, {len(self.test):,} test images"
        noise = f"; {self.noisy_labels:,} training labels corrupted" if self.noisy_labels else ""
        return f"{parts} of {'x'.join(map(str, self.train.images.shape[1:]))}{noise}"

    def to(self, device: torch.device | str) -> Splits:
        """The parts on another device."""
        train, validation, test = (part.to(device) for part in (self.train, self.validation, self.test))
        return replace(self, train=train, validation=validation, test=test)


def facts(dataset: str) -> tuple[int, tuple[float, ...], tuple[float, ...]]:
    """Classes, and mean and deviation of the channels, of a data set."""
    if dataset in _cifar.FACTS:
        return _cifar.FACTS[dataset]
    if dataset == "tiny-imagenet":
        return _tiny_imagenet.CLASSES, _tiny_imagenet.MEAN, _tiny_imagenet.STD
    source = _digits if dataset == "digits" else _svhn
    return 10, source.MEAN, source.STD


def _read(config: DataConfig, *, train: bool) -> ImageSet:
    if config.dataset == "svhn":
        return _svhn.read_svhn(config.data_dir, train=train, download=config.download)
    if config.dataset == "tiny-imagenet":
        if config.download:
            raise LetheError("tiny-imagenet cannot be fetched from here: unpack tiny-imagenet-200.zip yourself.")
        return _tiny_imagenet.read_tiny_imagenet(config.data_dir, train=train)
    return _cifar.read_cifar(config.dataset, config.data_dir, train=train, download=config.download)


def load(config: DataConfig) -> Splits:
    """Read, split, pool and corrupt as ``config`` says.

    Training and validation images come from the published training set (label noise falls on the training images
    alone), test images from the test set; digits has no published test set and is split in three.

    Raises:
        LetheError: files missing or damaged, or more images asked for than there are.
    """
    generator = torch.Generator().manual_seed(config.split_seed)
    if config.dataset == "digits":
        everything = _digits.read_digits()
        order = torch.randperm(len(everything), generator=generator)
        test_size = 500 if config.test_size is None else config.test_size
        _require("test_size", test_size, len(everything) - 2)
        test, pool = everything.subset(order[:test_size]), everything.subset(order[test_size:])
        default_validation = 297
    else:
        pool = _read(config, train=True)
        pool = pool.subset(torch.randperm(len(pool), generator=generator))
        test = _read(config, train=False)
        if config.test_size is not None:
            _require("test_size", config.test_size, len(test))
            test = test.subset(torch.randperm(len(test), generator=generator)[: config.test_size])
        default_validation = len(pool) // 10
    validation_size = default_validation if config.validation_size is None else config.validation_size
    _require("validation_size", validation_size, len(pool) - 1)
    left = len(pool) - validation_size
    train_size = left if config.train_size is None else config.train_size
    _require("train_size", train_size, left)
    validation = pool.subset(list(range(validation_size)))
    train = pool.subset(list(range(validation_size, validation_size + train_size)))
    train = with_label_noise(train, config.label_noise, generator)
    if config.image_size is not None:
        _require("image_size", config.image_size, train.images.shape[-1])
        train, validation, test = (part.pooled(config.image_size) for part in (train, validation, test))
    if config.augment == "crop-flip" and min(train.images.shape[-2:]) <= 4:
        raise LetheError(
            "crop-flip pads by 4 and needs images larger than 4x4: set a larger image_size, or augment none."
        )
    _, mean, std = facts(config.dataset)
    return Splits(train, validation, test, mean, std, round(config.label_noise * train_size))


def _require(name: str, asked: int, available: int) -> None:
    if asked > available:
        raise LetheError(f"{name} is {asked}, but only {available} are available: ask for fewer.")
