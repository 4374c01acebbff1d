"""Sizes and shapes of the networks, by independent arithmetic."""

import pytest
import torch
from torch import nn

import lethe
from lethe.models import ModelConfig, SmallResNet, build, preact_resnet18

CIFAR = ((0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616))
GREY = ((0.3,), (0.4,))


def expected_parameters(channels, widths, blocks, classes):
    total, inputs = channels * widths[0] * 9, widths[0]  # the stem
    for stage, (width, depth) in enumerate(zip(widths, blocks, strict=True)):
        for block in range(depth):
            total += 2 * inputs + inputs * width * 9  # batch norm, then convolution
            total += 2 * width + width * width * 9
            if inputs != width or (stage > 0 and block == 0):
                total += inputs * width  # the 1x1 shortcut
            inputs = width
    return total + 2 * inputs + inputs * classes + classes  # last batch norm, and the head


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


def test_preact_resnet18_has_the_published_number_of_parameters():
    assert expected_parameters(3, (64, 128, 256, 512), (2, 2, 2, 2), 10) == 11_172_170
    assert count(preact_resnet18(10, *CIFAR)) == 11_172_170


@pytest.mark.parametrize(("width", "classes"), [(4, 10), (32, 10), (16, 3)])
def test_small_resnet_has_the_expected_number_of_parameters(width, classes):
    model = SmallResNet(width, classes, *GREY)
    assert count(model) == expected_parameters(1, (width, 2 * width, 4 * width), (1, 1, 1), classes)


def test_small_resnet_of_width_32_is_as_large_as_its_docstring_says():
    assert round(count(SmallResNet(32, 10, *CIFAR)) / 1e6, 2) == 0.31


@pytest.mark.parametrize("size", [8, 9, 32])
def test_images_of_any_size_become_logits(size):
    model = SmallResNet(4, 7, *CIFAR).eval()
    assert model(torch.rand(2, 3, size, size)).shape == (2, 7)


def test_preact_resnet18_halves_the_size_in_three_of_four_stages():
    model = preact_resnet18(10, *CIFAR).eval()
    x, sizes = model.conv1(model.normalize(torch.rand(1, 3, 32, 32))), []
    for stage in model.stages:
        x = stage(x)
        sizes.append(tuple(x.shape[1:]))
    assert sizes == [(64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4)]
    assert model(torch.rand(1, 3, 32, 32)).shape == (1, 10)


@pytest.mark.parametrize("name", ["small-resnet", "preact-resnet18"])
def test_no_convolution_has_a_bias(name):
    model = build(ModelConfig(model=name), 10, *CIFAR)
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    assert convolutions
    assert all(convolution.bias is None for convolution in convolutions)


def test_initial_weights_come_from_torchs_generator():
    def made(seed):
        torch.manual_seed(seed)
        return build(ModelConfig(width=4), 10, *GREY).state_dict()

    one, again, other = made(0), made(0), made(1)
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["conv1.weight"], other["conv1.weight"])


@pytest.mark.parametrize(
    ("options", "message"),
    [({"model": "small-resnt"}, "Did you mean 'small-resnet'"), ({"width": 0}, "width must be at least 1")],
)
def test_a_model_that_does_not_exist_is_refused(options, message):
    with pytest.raises(lethe.LetheError, match=message):
        ModelConfig(**options)
