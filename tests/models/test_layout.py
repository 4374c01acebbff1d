"""Weights stored channels-last, but not where the CPU's convolutions would write outside their memory."""

import pytest
import torch
from torch import nn

from lethe.attacks import PGD
from lethe.models import ModelConfig, build, channels_last


def stored_last(model):
    return [
        module.weight.is_contiguous(memory_format=torch.channels_last) and not module.weight.is_contiguous()
        for module in model.modules()
        if isinstance(module, nn.Conv2d) and module.kernel_size != (1, 1) and module.in_channels > 1
    ]


@pytest.mark.parametrize(("width", "last"), [(16, True), (8, False)])
def test_a_network_that_the_cpu_cannot_train_so_is_left_as_it_is(width, last):
    model = channels_last(build(ModelConfig(width=width), 10, (0.5,) * 3, (0.2,) * 3))
    assert set(stored_last(model)) == {last}


def test_it_computes_the_same():
    torch.manual_seed(0)
    model = build(ModelConfig(width=16), 10, (0.5,) * 3, (0.2,) * 3).eval()
    x = torch.rand(4, 3, 8, 8)
    expected = model(x)
    torch.testing.assert_close(channels_last(model)(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("restarts", [1, 2])
def test_an_attack_hands_back_the_images_own_layout(channels, restarts):
    model = build(ModelConfig(width=16), 10, (0.5,) * channels, (0.2,) * channels)
    x = torch.rand(4, channels, 8, 8)
    found = PGD(steps=2, channels_last=True, restarts=restarts)(model, x, torch.zeros(4, dtype=torch.long))
    assert found.stride() == x.stride()
