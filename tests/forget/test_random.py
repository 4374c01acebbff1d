"""Random masks: exact counts, and the same for the same generator."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lethe import forget


def network():
    return nn.Sequential(nn.Conv2d(3, 7, 3), nn.BatchNorm2d(7), nn.Flatten(), nn.Linear(28, 11))


@settings(deadline=None, max_examples=50)
@given(fraction=st.floats(0.0, 1.0), seed=st.integers(0, 2**31))
def test_each_tensor_gives_its_exact_share(fraction, seed):
    model = network()
    masks = forget.random_mask(model, fraction, generator=torch.Generator().manual_seed(seed))
    assert list(masks) == ["0.weight", "3.weight"]
    for name, mask in masks.items():
        parameter = model.get_parameter(name)
        assert mask.dtype == torch.bool
        assert mask.shape == parameter.shape
        assert int(mask.sum()) == round(fraction * parameter.numel())


def test_the_same_generator_gives_the_same_masks_and_another_others():
    first, second, other = (
        forget.random_mask(network(), 0.5, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["3.weight"], other["3.weight"])


def test_without_a_generator_torchs_own_is_used():
    torch.manual_seed(3)
    first = forget.random_mask(network(), 0.5)
    torch.manual_seed(3)
    model = network()  # draws, too
    torch.manual_seed(3)
    network()
    assert torch.equal(first["0.weight"], forget.random_mask(model, 0.5)["0.weight"])


def test_every_weight_is_as_likely_as_any_other():
    layer, generator = nn.Linear(4, 5), torch.Generator().manual_seed(0)
    hits = sum(forget.random_mask(layer, 0.3, generator=generator)["weight"].float() for _ in range(4000))
    # 0.3 of 20 is 6; the deviation of a share over 4,000 draws is 0.0072
    assert (hits / 4000 - 0.3).abs().max() < 5 * 0.0072


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan"), 35])
def test_a_fraction_outside_0_and_1_is_an_error(fraction):
    with pytest.raises(ValueError, match=r"fraction must lie in \[0, 1\]"):
        forget.random_mask(network(), fraction)
