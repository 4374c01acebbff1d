"""The bundled digits: sizes of the parts, and that they share no image."""

import pytest
import torch
from sklearn.datasets import load_digits

import lethe
from lethe.data import DataConfig, load


def keys(part):
    return {image.numpy().tobytes() for image in part.images}


def test_the_default_split_uses_every_image_once():
    splits = load(DataConfig())
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [1000, 297, 500]
    together = torch.cat([part.images for part in (splits.train, splits.validation, splits.test)])
    bundled = torch.from_numpy(load_digits().images).float() / 16
    assert sorted(i.numpy().tobytes() for i in together) == sorted(i.numpy().tobytes() for i in bundled)


def test_the_parts_share_no_image():
    splits = load(DataConfig())
    parts = [keys(part) for part in (splits.train, splits.validation, splits.test)]
    assert len(set.union(*parts)) == sum(map(len, parts)) == 1797  # no two of the bundled images are equal


def test_images_lie_between_0_and_1_and_labels_belong_to_them():
    splits = load(DataConfig())
    assert splits.train.images.shape == (1000, 1, 8, 8)
    assert splits.train.images.dtype == torch.float32
    assert (splits.train.images.min(), splits.train.images.max()) == (0.0, 1.0)
    bundle = load_digits()
    truth = {(i / 16).astype("float32").tobytes(): label for i, label in zip(bundle.images, bundle.target, strict=True)}
    for image, label in zip(splits.train.images, splits.train.labels, strict=True):
        assert truth[image[0].numpy().tobytes()] == label


def test_mean_and_deviation_are_those_of_the_images():
    images = torch.from_numpy(load_digits().images).float() / 16
    splits = load(DataConfig())
    assert splits.mean == pytest.approx([images.mean().item()], abs=1e-4)
    assert splits.std == pytest.approx([images.std().item()], abs=1e-3)


def test_asked_for_sizes_are_kept():
    splits = load(DataConfig(train_size=100, validation_size=20, test_size=30))
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [100, 20, 30]
    assert str(splits) == "100 training, 20 validation, 30 test images of 1x8x8"


def test_the_split_depends_on_its_own_seed_alone():
    torch.manual_seed(1)
    one = load(DataConfig(split_seed=3))
    torch.manual_seed(2)
    two = load(DataConfig(split_seed=3, label_noise=0.3, augment="crop-flip"))
    smaller = load(DataConfig(split_seed=3, train_size=50))
    other = load(DataConfig(split_seed=4))
    for part in ("train", "validation", "test"):
        assert torch.equal(getattr(one, part).images, getattr(two, part).images)
        assert not torch.equal(getattr(one, part).images, getattr(other, part).images)
    assert torch.equal(one.test.images, smaller.test.images)
    assert torch.equal(one.validation.images, smaller.validation.images)
    assert torch.equal(one.train.images[:50], smaller.train.images)


def test_loading_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    load(DataConfig(label_noise=0.5))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train_size": 1001}, "train_size is 1001, but only 1000 are available"),
        ({"validation_size": 1297}, "validation_size is 1297, but only 1296"),
        ({"test_size": 1796}, "test_size is 1796, but only 1795"),
        ({"image_size": 9}, "image_size is 9, but only 8"),
    ],
)
def test_more_than_there_is_is_an_error_that_says_what_there_is(options, message):
    with pytest.raises(lethe.LetheError, match=message):
        load(DataConfig(**options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dataset": "digit"}, "unknown dataset 'digit'. Did you mean 'digits'"),
        ({"augment": "crop_flip"}, "Did you mean 'crop-flip'"),
        ({"label_noise": 1.5}, "label_noise must lie in"),
        ({"label_noise": float("nan")}, "label_noise must lie in"),
        ({"train_size": 0}, "train_size must be at least 1"),
        ({"test_size": 0}, "test_size must be at least 1"),
        ({"validation_size": -1}, "validation_size must be at least 0"),
    ],
)
def test_a_value_out_of_range_is_refused_when_the_config_is_made(options, message):
    with pytest.raises(lethe.LetheError, match=message):
        DataConfig(**options)
