"""An image set: picking, pooling, moving, and use as an ordinary data set."""

import torch
from torch.utils.data import DataLoader

from lethe.data import ImageSet


def small():
    return ImageSet(torch.arange(48, dtype=torch.uint8).view(3, 1, 4, 4), torch.tensor([5, 6, 7]), 10)


def test_a_subset_holds_the_images_asked_for_in_that_order_and_copied():
    data = small()
    for indices in ([2, 0], torch.tensor([2, 0])):
        part = data.subset(indices)
        assert part.labels.tolist() == [7, 5]
        assert torch.equal(part.images[1], data.images[0])
        assert (len(part), part.classes) == (2, 10)
        part.images.zero_()
        assert data.images[1:].any()
    assert len(data.subset([])) == 0


def test_pooling_averages_blocks():
    pooled = small().pooled(2)
    assert pooled.images.shape == (3, 1, 2, 2)
    assert pooled.images.dtype == torch.float32
    first = torch.tensor([[0 + 1 + 4 + 5, 2 + 3 + 6 + 7], [8 + 9 + 12 + 13, 10 + 11 + 14 + 15]]) / 4 / 255
    assert torch.allclose(pooled.images[0, 0], first)
    assert pooled.labels.tolist() == [5, 6, 7]


def test_it_is_an_ordinary_data_set():
    image, label = small()[1]
    assert image.dtype == torch.float32
    assert torch.allclose(image, torch.arange(16, 32).view(1, 4, 4) / 255)
    assert label == 6
    x, y = next(iter(DataLoader(small(), batch_size=3)))
    assert x.shape == (3, 1, 4, 4)
    assert y.tolist() == [5, 6, 7]


def test_moving_to_a_device_keeps_everything_else():
    moved = small().to("meta")
    assert moved.images.device.type == moved.labels.device.type == "meta"
    assert (moved.images.shape, moved.classes) == ((3, 1, 4, 4), 10)
