"""The size of images, before they are read."""

import pytest

from lethe.data import DataConfig, image_side, load
from lethe.data._config import DATASETS, FROM_FOLDERS
from lethe.data._image_side import SIDES


@pytest.mark.parametrize("pooled", [None, 4])
def test_it_is_the_size_of_the_images_that_are_read(pooled):
    config = DataConfig(image_size=pooled)
    assert image_side(config) == load(config).train.images.shape[-1] == (pooled or 8)


def test_every_data_set_says_its_size_by_its_name_or_its_options():
    assert set(SIDES) | set(FROM_FOLDERS) == set(DATASETS)
    assert image_side(DataConfig(dataset="imagefolder", data_dir="x")) == 224
    assert image_side(DataConfig(dataset="imagefolder", data_dir="x", image_size=64)) == 64
