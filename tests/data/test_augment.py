"""Random crop and flip against a reference of plain loops."""

import torch

from lethe.data._augment import crop_flip, none
from lethe.data._augmentations import augmentation


def reflected(position, size):
    """The place that reflect-padding shows at ``position``: ... 2 1 0 1 2 ... size-2 size-1 size-2 ..."""
    if position < 0:
        return -position
    return position if position < size else 2 * (size - 1) - position


def slow_crop_flip(x, generator, padding):
    b, c, h, w = x.shape
    top, left = torch.randint(2 * padding + 1, (2, b), generator=generator)
    flip = torch.rand(b, generator=generator) < 0.5
    out = torch.empty_like(x)
    for image in range(b):
        for channel in range(c):
            for row in range(h):
                for column in range(w):
                    across = w - 1 - column if flip[image] else column
                    source_row = reflected(int(top[image]) + row - padding, h)
                    source_column = reflected(int(left[image]) + across - padding, w)
                    out[image, channel, row, column] = x[image, channel, source_row, source_column]
    return out


def test_crop_flip_equals_the_reference():
    x = torch.rand(12, 2, 6, 7, generator=torch.Generator().manual_seed(0))
    for padding in (0, 1, 4):
        fast = crop_flip(x, torch.Generator().manual_seed(9), padding)
        assert torch.equal(fast, slow_crop_flip(x, torch.Generator().manual_seed(9), padding))
        assert fast.is_contiguous()


def test_by_flip_an_image_is_flipped_or_left():
    x = torch.rand(200, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    out = augmentation("flip", "cifar10")(x, torch.Generator().manual_seed(1))
    left = (out == x).flatten(1).all(1)
    flipped = (out == x.flip(3)).flatten(1).all(1)
    assert bool((left ^ flipped).all())
    assert 70 < int(flipped.sum()) < 130  # half of 200, deviation 7


def test_the_generator_decides_and_goes_on():
    x = torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    original = x.clone()
    generator = torch.Generator().manual_seed(3)
    one, two = crop_flip(x, generator), crop_flip(x, generator)
    assert torch.equal(one, crop_flip(x, torch.Generator().manual_seed(3)))
    assert not torch.equal(one, two)
    assert torch.equal(x, original)


def test_none_draws_nothing_and_changes_nothing():
    x, generator = torch.rand(2, 1, 3, 3), torch.Generator().manual_seed(0)
    before = generator.get_state()
    assert none(x, generator) is x
    assert torch.equal(generator.get_state(), before)
