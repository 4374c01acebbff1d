"""The real CIFAR-10, where there is one."""

import pytest
import torch

from lethe.data import DataConfig, load


@pytest.fixture(scope="module")
def splits(cifar10_folder):
    return load(DataConfig(dataset="cifar10", data_dir=cifar10_folder))


def test_the_published_images_are_split_and_none_is_lost(splits):
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [45_000, 5_000, 10_000]
    for part in (splits.train, splits.validation, splits.test):
        assert part.images.dtype == torch.uint8
        assert part.images.shape[1:] == (3, 32, 32)
        assert part.labels.dtype == torch.int64
    labels = torch.cat([splits.train.labels, splits.validation.labels])
    assert torch.bincount(labels).tolist() == [5_000] * 10
    assert torch.bincount(splits.test.labels).tolist() == [1_000] * 10


def test_mean_and_deviation_are_those_of_the_training_images(splits):
    images = torch.cat([splits.train.images, splits.validation.images])
    for channel in range(3):
        values = images[:, channel].double() / 255
        assert splits.mean[channel] == pytest.approx(values.mean().item(), abs=1e-4)
        assert splits.std[channel] == pytest.approx(values.std().item(), abs=1e-3)


def test_a_part_of_it_can_be_asked_for(cifar10_folder):
    config = DataConfig(
        dataset="cifar10", data_dir=cifar10_folder, train_size=40, validation_size=20, test_size=30, image_size=8
    )
    splits = load(config)
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [40, 20, 30]
    assert splits.test.images.shape == (30, 3, 8, 8)
