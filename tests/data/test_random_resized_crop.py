"""ImageNet's augmentation, on batches and on single images."""

import torch
from folders import picture

from lethe.data import RandomResizedCrop

SIZE = 24


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_a_crop_is_part_of_the_image_mirrored_in_half_of_the_cases():
    """On two ramps the crop's corners tell where it came from: how large it is, of what ratio, and whether mirrored."""
    ramp = torch.linspace(0, 1, 200)
    x = torch.stack((ramp.expand(200, 200), ramp[:, None].expand(200, 200), torch.zeros(200, 200)))
    out = torch.stack([RandomResizedCrop().of_one(x, (50, 50), seed) for seed in range(400)])
    across = (out[:, 0, 25, 45] - out[:, 0, 25, 5]) / 40 * 50
    down = (out[:, 1, 45, 25] - out[:, 1, 5, 25]) / 40 * 50
    assert (down > 0).all()
    assert 160 < int((across < 0).sum()) < 240  # half of 400, deviation 10
    area, ratio = across.abs() * down, across.abs() / down
    assert 0.07 < area.min() < 0.12
    assert 0.9 < area.max() < 1.05
    assert 0.7 < ratio.min() < 0.8
    assert 1.25 < ratio.max() < 1.4


def test_each_image_of_a_batch_is_as_its_own_seed_has_it():
    x, crop = torch.rand(6, 3, SIZE, SIZE, generator=generator(9)), RandomResizedCrop()
    out = crop(x, generator(1))
    for image, made, seed in zip(x, out, crop.seeds(6, generator(1)), strict=True):
        assert torch.equal(crop.of_one(image, (SIZE, SIZE), seed).clamp(0, 1), made)
    same = crop(x[:1].expand(6, -1, -1, -1), generator(1))
    assert len({image.numpy().tobytes() for image in same}) == 6


def test_an_image_of_pillows_is_cropped_and_the_global_generator_left():
    before = torch.get_rng_state()
    one, again, other = (RandomResizedCrop().of_one(picture(1), (SIZE, SIZE), seed) for seed in (5, 5, 6))
    assert one.size == (SIZE, SIZE)
    assert one.tobytes() == again.tobytes() != other.tobytes()
    assert torch.equal(torch.get_rng_state(), before)


def test_seeds_are_drawn_batch_by_batch_as_all_at_once_from_a_copy():
    copy, together = generator(3), generator(3)
    assert [RandomResizedCrop().seeds(n, copy) for n in (5, 3)] == [
        RandomResizedCrop().seeds(n, together) for n in (5, 3)
    ]
    assert torch.equal(copy.get_state(), together.get_state())
