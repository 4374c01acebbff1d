"""Read the data set that a config names, and split it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from lethe._check import LetheError
from lethe.data import _cifar, _digits, _image_folder, _restricted_imagenet, _svhn, _tiny_imagenet
from lethe.data._config import FROM_FOLDERS, DataConfig
from lethe.data._image_set import ImageSet
from lethe.data._label_noise import with_label_noise
from lethe.data._streamed_set import StreamedSet


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
        return f"{parts} of {'x'.join(map(str, self.train.shape))}{noise}"

    def to(self, device: torch.device | str) -> Splits:
        """The parts on another device."""
        train, validation, test = (part.to(device) for part in (self.train, self.validation, self.test))
        return replace(self, train=train, validation=validation, test=test)


def class_names(data: DataConfig) -> list[str] | None:
    """Names of an imagefolder's classes, in the order of their numbers; None of a data set whose name tells them.

    Raises:
        LetheError: no data_dir, or not the folders that there must be.
    """
    return list(class_numbers(data)) if data.dataset == "imagefolder" else None


def facts(
    data: DataConfig | str, classes: Sequence[str] | None = None
) -> tuple[int, tuple[float, ...], tuple[float, ...]]:
    """Classes, and mean and deviation of the channels, of a data set.

    Args:
        data: a config, or the name of a set whose classes the name tells. Of an imagefolder the class folders are
            counted in its data_dir. Image folders have ImageNet's mean and deviation.
        classes: names of an imagefolder's classes where they are known; its folder is not looked at then.

    Raises:
        LetheError: the name, or the folder, does not tell the classes.
    """
    dataset = data if isinstance(data, str) else data.dataset
    if dataset in FROM_FOLDERS:
        if isinstance(data, str):
            raise LetheError(f"how many classes {dataset} has, its options say: ask with them, not with its name.")
        count = data.restricted_classes if dataset == "restricted-imagenet" else len(classes or class_numbers(data))
        return count, _image_folder.MEAN, _image_folder.STD
    if dataset in _cifar.FACTS:
        return _cifar.FACTS[dataset]
    if dataset == "tiny-imagenet":
        return _tiny_imagenet.CLASSES, _tiny_imagenet.MEAN, _tiny_imagenet.STD
    source = _digits if dataset == "digits" else _svhn
    return 10, source.MEAN, source.STD


def load(config: DataConfig, *, file_order: bool = False) -> Splits:
    """Read, split, pool and corrupt as ``config`` says.

    Training and validation images come from the published training set (label noise falls on the training images
    alone), test images from the test set; digits has no published test set and is split in three. An image folder may
    have a validation part of its own. Its parts stay in memory, decoded, up to 1 GiB each, and are streamed beyond
    that; training images that are cropped at random from the whole file are streamed always.

    Args:
        config: which data, and how it is split.
        file_order: whether the training images keep the order of the data set's files; else it is drawn, too.

    Raises:
        LetheError: files missing or damaged, or more images asked for than there are.
    """
    generator = torch.Generator().manual_seed(config.split_seed)
    pool, held_out, test = _read(config)
    order = torch.randperm(len(pool), generator=generator)
    if test is None:
        test_size = 500 if config.test_size is None else config.test_size
        _require("test_size", test_size, len(pool) - 2)
        test, order = pool.subset(order[:test_size]), order[test_size:]
    elif config.test_size is not None:
        _require("test_size", config.test_size, len(test))
        test = test.subset(torch.randperm(len(test), generator=generator)[: config.test_size])
    if held_out is not None:
        validation, left = _held_out(held_out, config.validation_size, generator), order
    else:
        default = 297 if config.dataset == "digits" else len(order) // 10
        validation_size = default if config.validation_size is None else config.validation_size
        _require("validation_size", validation_size, len(order) - 1)
        validation, left = pool.subset(order[:validation_size]), order[validation_size:]
    train_size = len(left) if config.train_size is None else config.train_size
    _require("train_size", train_size, len(left))
    chosen = left[:train_size].sort().values if file_order else left[:train_size]
    train = with_label_noise(pool.subset(chosen), config.label_noise, generator)
    if config.dataset in FROM_FOLDERS:
        train = train if config.augment == "random-resized-crop" else _in_memory(train)
        validation, test = _in_memory(validation), _in_memory(test)
    elif config.image_size is not None:
        _require("image_size", config.image_size, train.shape[-1])
        train, validation, test = (part.pooled(config.image_size) for part in (train, validation, test))
    if config.augment == "crop-flip" and min(train.shape[-2:]) <= 4:
        raise LetheError(
            "crop-flip pads by 4 and needs images larger than 4x4: set a larger image_size, or augment none."
        )
    _, mean, std = facts(config)
    return Splits(train, validation, test, mean, std, round(config.label_noise * train_size))


def _read(config: DataConfig) -> tuple[ImageSet, ImageSet | None, ImageSet | None]:
    """Training images, and where the data set has them apart, validation and test images."""
    folder, download = config.data_dir, config.download
    if config.dataset == "digits":
        return _digits.read_digits(), None, None
    if config.dataset in FROM_FOLDERS:
        return _read_folders(config)
    if config.dataset == "svhn":
        train = _svhn.read_svhn(folder, train=True, download=download, extra=config.svhn_extra)
        return train, None, _svhn.read_svhn(folder, train=False, download=download)
    if config.dataset == "tiny-imagenet":
        if download:
            raise LetheError("tiny-imagenet cannot be fetched from here: unpack tiny-imagenet-200.zip yourself.")
        train, test = (_tiny_imagenet.read_tiny_imagenet(folder, train=part) for part in (True, False))
        return train, None, test
    train, test = (_cifar.read_cifar(config.dataset, folder, train=part, download=download) for part in (True, False))
    return train, None, test


def class_numbers(config: DataConfig) -> dict[str, int]:
    """The class of each class folder that is read, of a data set of folders.

    Raises:
        LetheError: no data_dir, or not the folders that there must be.
    """
    train = _image_folder.parts(config.data_dir, config.dataset)["train"]
    if config.dataset == "restricted-imagenet":
        return _restricted_imagenet.grouped_folders(train, config.restricted_classes)
    return {name: index for index, name in enumerate(_image_folder.class_names(train))}


def _read_folders(config: DataConfig) -> tuple[ImageSet, ImageSet | None, ImageSet]:
    if config.download:
        raise LetheError(f"{config.dataset} cannot be fetched from here: name its folder with --data-dir.")
    folders, number = _image_folder.parts(config.data_dir, config.dataset), class_numbers(config)
    if config.dataset != "restricted-imagenet":
        for folder in folders.values():
            _image_folder.check_class_folders(folder, list(number))
    classes, decode = len(set(number.values())), config.decoder()
    read = {
        name: _image_folder.read_part(folder, number, classes, decode, config.workers)
        for name, folder in folders.items()
    }
    _image_folder.check_every_class(read["train"], number, folders["train"])
    return read["train"], read.get("validation"), read["test"]


def _held_out(data: ImageSet, size: int | None, generator: torch.Generator) -> ImageSet:
    """A validation part of its own, or so many images of it."""
    if size is None:
        return data
    _require("validation_size", size, len(data))
    return data.subset(torch.randperm(len(data), generator=generator)[:size])


def _in_memory(data: ImageSet) -> ImageSet:
    """The set decoded, if it fits."""
    fits = isinstance(data, StreamedSet) and data.decoded_bytes <= _image_folder.IN_MEMORY
    return data.decoded() if isinstance(data, StreamedSet) and fits else data


def _require(name: str, asked: int, available: int) -> None:
    if asked > available:
        raise LetheError(f"{name} is {asked}, but only {available} are available: ask for fewer.")
