"""Cutting a set into batches: nothing lost, nothing twice."""

import pytest
import torch

from lethe.data import ImageSet, batches, steps_per_epoch
from lethe.data._augment import crop_flip


def numbered(count):
    """A set whose label is the position and whose pixel says the same."""
    return ImageSet(torch.arange(count).float().view(-1, 1, 1, 1) / 1000, torch.arange(count), count)


def test_without_a_generator_the_order_is_kept():
    labels = [y.tolist() for _, y in batches(numbered(7), 3)]
    assert labels == [[0, 1, 2], [3, 4, 5, 6]]
    assert [y.tolist() for _, y in batches(numbered(8), 3)] == [[0, 1, 2], [3, 4, 5], [6, 7]]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 9, 10, 32, 33])
@pytest.mark.parametrize("size", [2, 4, 32, 100])
def test_every_image_comes_once_with_its_label_and_never_alone(count, size):
    seen = []
    for x, y in batches(numbered(count), size, shuffle=torch.Generator().manual_seed(0)):
        assert x.shape == (len(y), 1, 1, 1)
        assert torch.equal((x.flatten() * 1000).round().long(), y)
        assert 2 <= len(y) <= size + 1 or count == 1
        seen += y.tolist()
    assert sorted(seen) == list(range(count))


@pytest.mark.parametrize("count", [1, 2, 3, 8, 9, 10, 33])
@pytest.mark.parametrize("size", [1, 2, 4, 32, 100])
def test_the_steps_of_an_epoch_are_its_batches(count, size):
    assert steps_per_epoch(count, size) == len(list(batches(numbered(count), size)))


def test_the_order_is_drawn_from_the_generator_anew_each_time():
    generator = torch.Generator().manual_seed(4)
    first, second = (torch.cat([y for _, y in batches(numbered(20), 6, shuffle=generator)]) for _ in range(2))
    again = torch.cat([y for _, y in batches(numbered(20), 6, shuffle=torch.Generator().manual_seed(4))])
    assert torch.equal(first, again)
    assert not torch.equal(first, second)
    assert not torch.equal(first, torch.arange(20))


def test_images_are_augmented_only_where_they_are_shuffled():
    def darken(x, generator):
        return x * 0

    data = ImageSet(torch.ones(4, 1, 2, 2), torch.zeros(4, dtype=torch.long), 2)
    assert all(x.sum() == 8 for x, _ in batches(data, 2, augment=darken))
    assert all(x.sum() == 0 for x, _ in batches(data, 2, shuffle=torch.Generator().manual_seed(0), augment=darken))


def test_bytes_become_floats_between_0_and_1():
    data = ImageSet(torch.tensor([0, 51, 255], dtype=torch.uint8).view(3, 1, 1, 1), torch.zeros(3).long(), 2)
    ((x, _),) = batches(data, 3)
    assert x.dtype == torch.float32
    assert torch.allclose(x.flatten(), torch.tensor([0.0, 0.2, 1.0]))


@pytest.mark.parametrize("channels", [1, 3])
def test_augmented_batches_have_a_contiguous_tensors_own_strides(channels):
    """Others made torch train narrow networks on one-channel images with kernels that write outside their memory."""
    data = ImageSet(torch.rand(6, channels, 8, 8), torch.zeros(6, dtype=torch.long), 2)
    for x, _ in batches(data, 3, shuffle=torch.Generator(), augment=crop_flip):
        assert x.stride() == (channels * 64, 64, 8, 1)
