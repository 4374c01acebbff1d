"""Real photographs as a plain folder of images, where there are some."""

import pytest
import torch

from lethe.data import DataConfig, ImageSet, StreamedSet, batches, load
from lethe.data._tiny_imagenet import read_tiny_imagenet


def config(folder, **options):
    return DataConfig(dataset="imagefolder", data_dir=folder, image_size=64, **options)


@pytest.fixture(scope="module")
def splits(tiny_imagenet_folder):
    return load(config(tiny_imagenet_folder))


def test_every_image_is_read_as_tiny_imagenets_own_reader_reads_it(splits, tiny_imagenet_folder):
    assert str(splits) == "9,000 training, 1,000 validation, 1,000 test images of 3x64x64"
    assert [type(part) for part in (splits.train, splits.validation, splits.test)] == [ImageSet] * 3
    own = read_tiny_imagenet(tiny_imagenet_folder, train=False, classes=20)
    assert torch.equal(splits.test.images, own.images)
    assert torch.equal(splits.test.labels, own.labels)
    labels = torch.cat([splits.train.labels, splits.validation.labels])
    assert torch.bincount(labels).tolist() == [500] * 20


def test_random_crops_are_streamed_and_show_the_same_photographs(splits, tiny_imagenet_folder):
    options = config(tiny_imagenet_folder, augment="random-resized-crop", train_size=64, workers=1)
    train = load(options).train
    assert type(train) is StreamedSet
    ((x, y),) = batches(train, 64, shuffle=torch.Generator().manual_seed(0), augment=options.augmentation())
    order = torch.randperm(64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(y, splits.train.labels[:64][order])
    whole = splits.train.images[:64][order].float() / 255
    crops, photographs = (images.mean((2, 3)).flatten() for images in (x, whole))
    assert torch.corrcoef(torch.stack((crops, photographs)))[0, 1] > 0.8  # a crop has about its photograph's colour
