"""The augmentations of AMP's script: grey crops, holes, policies, and what differs from data set to data set."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import lethe
from lethe.data import AUGMENTATIONS, DataConfig, augmentation
from lethe.data._augment import GREY, crop_flip, cutout, rotate

PUBLISHED = ("cifar10", "cifar100", "svhn")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def photographs(count=16, size=32):
    return torch.randint(256, (count, 3, size, size), generator=generator(7)).float() / 255


def test_a_grey_crop_shows_grey_where_the_image_ends():
    x = torch.zeros(200, 1, 4, 4)
    out = crop_flip(x, generator(), padding=2, fill=GREY)
    assert set(out.unique().tolist()) == {0.0, torch.tensor(GREY).item()}
    # A shift by (a, b) of at most 2 leaves (4 - |a|)(4 - |b|) pixels of the image.
    left = (out == 0).flatten(1).sum(1)
    assert set(left.tolist()) <= {(4 - a) * (4 - b) for a in range(3) for b in range(3)}
    assert int(left.min()) == 4
    assert int(left.max()) == 16


def test_without_flip_an_image_is_only_shifted():
    x = torch.arange(16.0).view(1, 1, 4, 4).expand(100, -1, -1, -1)
    out = crop_flip(x, generator(), padding=1, fill=-1.0, flip=False)
    rising = out[:, 0, 1, 1:3].diff().squeeze(1)
    assert (rising == 1).all()


def slow_cutout(x, generator, size):
    rows = torch.randint(x.shape[2], (len(x),), generator=generator)
    columns = torch.randint(x.shape[3], (len(x),), generator=generator)
    out = x.clone()
    for image, (row, column) in enumerate(zip(rows.tolist(), columns.tolist(), strict=True)):
        top, bottom = max(0, row - size // 2), min(x.shape[2], row + size // 2)
        left, right = max(0, column - size // 2), min(x.shape[3], column + size // 2)
        out[image, :, top:bottom, left:right] = 0
    return out


@given(st.integers(0, 20), st.integers(0, 1000))
def test_cutout_equals_the_reference(size, seed):
    x = torch.rand(5, 2, 8, 9, generator=generator(1)) + 0.1
    assert torch.equal(cutout(x, generator(seed), size), slow_cutout(x, generator(seed), size))


@pytest.mark.parametrize(("dataset", "hole"), [("cifar10", 16), ("cifar100", 8), ("svhn", 20)])
def test_holes_have_the_published_size(dataset, hole):
    x = torch.ones(300, 3, 32, 32)
    black = (augmentation("cutout", dataset)(x, generator()) == 0).all(1).flatten(1).sum(1)
    assert int(black.max()) == hole**2
    assert int(black.min()) >= (hole // 2) ** 2


def test_house_numbers_are_not_flipped_and_photographs_are():
    ramp = torch.linspace(0, 1, 32).expand(100, 3, 32, 32).contiguous()
    for dataset, flips in (("cifar10", True), ("cifar100", True), ("svhn", False), ("digits", False)):
        out = augmentation("vanilla", dataset)(ramp, generator())
        falling = out[:, 0, 16, 20] < out[:, 0, 16, 12]
        assert bool(falling.any()) is flips


def test_sizes_scale_with_the_image():
    black = (augmentation("cutout", "cifar10")(torch.ones(300, 3, 16, 16), generator()) == 0).all(1).flatten(1).sum(1)
    assert int(black.max()) == 8**2


@pytest.mark.parametrize("dataset", PUBLISHED)
@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_every_augmentation_keeps_shape_and_range_and_follows_its_generator_alone(name, dataset):
    augment, x = augmentation(name, dataset), photographs()
    original, state = x.clone(), torch.get_rng_state()
    one, again, other = augment(x, generator(3)), augment(x, generator(3)), augment(x, generator(4))
    assert torch.equal(one, again)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(x, original)
    assert one.shape == x.shape
    assert one.dtype == x.dtype
    assert one.min() >= 0
    assert one.max() <= 1
    assert torch.equal(one, other) is (name == "none")


def test_a_turn_is_by_the_angle_it_says_about_the_middle():
    """A bright pixel right of the middle lies on a circle, at most 15 degrees up or down; corners come in black."""
    x = torch.zeros(400, 1, 33, 33)
    x[:, :, 16, 16] = 1.0
    x[:, :, 16, 28:31] = 0.5
    out = rotate(x, generator(), 15.0)
    assert (out[:, 0, 16, 16] == 1.0).all()
    angles = []
    for image in out[:, 0]:
        rows, columns = (image == 0.5).nonzero(as_tuple=True)
        across, down = columns.float().mean() - 16, rows.float().mean() - 16
        assert float((across**2 + down**2).sqrt()) == pytest.approx(13, abs=0.8)
        angles.append(math.degrees(math.atan2(down, across)))
    assert -16.5 < min(angles) < -12
    assert 12 < max(angles) < 16.5
    turned = rotate(torch.ones(50, 3, 32, 32), generator(), 15.0)
    assert set(turned.unique().tolist()) == {0.0, 1.0}
    assert (turned[:, :, 0, 0] == 0).float().mean() > 0.8
    assert torch.equal(rotate(x, generator(), 0.0), x)


def test_images_of_a_batch_have_policies_of_their_own():
    x = photographs(1).expand(32, -1, -1, -1)
    out = augmentation("autoaugment", "svhn")(x, generator())
    # Outside the holes, the same image is changed in many ways.
    changed = {tuple((image[image > 0][:50] * 255).round().int().tolist()) for image in out}
    assert len(changed) > 15


def test_autoaugment_is_refused_where_there_is_no_policy():
    with pytest.raises(lethe.LetheError, match="AutoAugment has no policy for digits"):
        DataConfig(augment="autoaugment")


def test_an_unknown_augmentation_names_the_nearest():
    with pytest.raises(lethe.LetheError, match="Did you mean 'cutout'"):
        DataConfig(augment="cutuot")
