"""Channels and layers are forgotten whole, in exact numbers."""

import pytest
import torch
from torch import nn

from lethe import forget


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.ConvTranspose2d(8, 6, 3), nn.Flatten(), nn.Linear(24, 10)
    )


def channels_of(mask, dimension=0):
    """Which channels are forgotten; each wholly or not at all."""
    rows = mask.movedim(dimension, 0).flatten(1)
    assert torch.equal(rows.any(1), rows.all(1))
    return rows.any(1)


def test_random_channels_are_whole_and_counted_in_each_layer():
    masks = forget.random_mask(network(), 0.25, granularity="channels", generator=torch.Generator().manual_seed(0))
    assert int(channels_of(masks["0.weight"]).sum()) == 2
    assert int(channels_of(masks["3.weight"], 1).sum()) == 2  # a transposed convolution counts them in the second place
    assert int(channels_of(masks["5.weight"]).sum()) == 2


def test_a_channel_takes_its_bias_along_where_that_is_selected():
    masks = forget.random_mask(network(), 0.5, granularity="channels", select=forget.named("0.*", "1.*"))
    assert torch.equal(channels_of(masks["0.weight"]), masks["0.bias"])
    assert torch.equal(masks["1.weight"], masks["1.bias"])


@pytest.mark.parametrize("granularity", ["weights", "channels", "layers"])
def test_random_counts_over_all_are_exact(granularity):
    model, of = network(), {"weights": 144 + 432 + 240, "channels": 8 + 6 + 10, "layers": 3}[granularity]
    seen = set()
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        masks = forget.random_mask(model, 0.35, granularity=granularity, count="overall", generator=generator)
        if granularity == "weights":
            counts = [int(m.sum()) for m in masks.values()]
        elif granularity == "channels":
            counts = [int(channels_of(m, int(n == "3.weight")).sum()) for n, m in masks.items()]
        else:
            counts = [int(m.all()) for m in masks.values()]
            assert counts == [int(m.any()) for m in masks.values()]
        assert sum(counts) == round(0.35 * of)
        seen.add(tuple(counts))
    assert len(seen) > 1  # which tensor they fall into is left to chance


def test_over_all_each_weight_is_as_likely_as_any_other():
    model = nn.Sequential(nn.Linear(2, 3, bias=False), nn.Linear(3, 7, bias=False))
    generator = torch.Generator().manual_seed(0)
    hits = torch.zeros(27)
    for _ in range(3000):
        masks = forget.random_mask(model, 0.3, count="overall", generator=generator)
        hits += torch.cat([m.flatten() for m in masks.values()])
    assert (hits / 3000 - 8 / 27).abs().max() < 5 * 0.0084  # the deviation of a share over 3,000 draws


def test_a_count_is_split_over_parts_as_a_draw_without_replacement_would_fall():
    from lethe.forget._random import _split

    generator, taken = torch.Generator().manual_seed(0), torch.zeros(4)
    for _ in range(1000):
        counts = _split(2, [1, 1, 1, 3], generator)
        assert sum(counts) == 2
        assert all(0 <= n <= size for n, size in zip(counts, [1, 1, 1, 3], strict=True))
        taken += torch.tensor(counts)
    assert ((taken / 1000 / torch.tensor([1, 1, 1, 3]) - 1 / 3).abs() < 0.06).all()  # four deviations


def test_large_tensors_are_drawn_in_parts_and_counted_exactly(monkeypatch):
    from lethe.forget import _random

    monkeypatch.setattr(_random, "BLOCK", 100)
    for seed in range(20):
        masks = forget.random_mask(nn.Linear(33, 30), 0.07, generator=torch.Generator().manual_seed(seed))
        assert int(masks["weight"].sum()) == round(0.07 * 990)


def test_ranked_channels_are_those_of_the_smallest_mean():
    model = network()
    masks = forget.magnitude_mask(model, 0.25, granularity="channels", ties="first")  # 6 of 24
    means = torch.cat(
        [model[0].weight.abs().mean((1, 2, 3)), model[3].weight.abs().mean((0, 2, 3)), model[5].weight.abs().mean(1)]
    )
    chosen = torch.cat(
        [channels_of(masks["0.weight"]), channels_of(masks["3.weight"], 1), channels_of(masks["5.weight"])]
    )
    assert sorted(chosen.nonzero().flatten().tolist()) == sorted(means.argsort()[:6].tolist())


def test_ranked_layers():
    model = network()
    with torch.no_grad():
        model[3].weight.mul_(0.001)
    for count in ("overall", "per-tensor"):
        masks = forget.magnitude_mask(model, 0.34, granularity="layers", count=count)
        assert {name: (bool(m.all()), bool(m.any())) for name, m in masks.items()} == {
            "0.weight": (False, False), "3.weight": (True, True), "5.weight": (False, False),
        }  # fmt: skip


def test_the_number_of_ranked_units_is_rounded():
    model = network()
    masks = forget.magnitude_mask(model, 2.6 / (8 + 6 + 10), granularity="channels")
    assert sum(int(channels_of(masks[f"{at}.weight"], int(at == 3)).sum()) for at in (0, 3, 5)) == 3


def test_an_empty_parameter_has_no_units():
    model = nn.Sequential(nn.Linear(2, 3))
    model.nothing = nn.Parameter(torch.zeros(0, 4))
    masks = forget.magnitude_mask(model, 0.5, granularity="channels", select=forget.everything)
    assert masks["nothing"].shape == (0, 4)


def test_a_unit_that_is_not_finite_is_an_error():
    model = network()
    with torch.no_grad():
        model[0].weight[1, 0, 0, 0] = float("inf")
    with pytest.raises(ValueError, match="not finite"):
        forget.magnitude_mask(model, 0.5, granularity="channels")


def test_a_transposed_convolution_in_groups_has_no_channels():
    layer = nn.ConvTranspose2d(4, 4, 3, groups=2)
    with pytest.raises(ValueError, match="in groups"):
        forget.random_mask(layer, 0.5, granularity="channels")


@pytest.mark.parametrize("options", [{"granularity": "chanels"}, {"count": "all"}])
def test_an_unknown_word_is_an_error(options):
    for mask in (forget.random_mask, forget.magnitude_mask):
        with pytest.raises(ValueError, match="Known"):
            mask(network(), 0.5, **options)
