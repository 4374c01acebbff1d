"""The networks of AMP's script: sizes by independent arithmetic, shapes, shortcuts, dropout, initial weights."""

import itertools
import math
from importlib.util import find_spec

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import lethe
from lethe.models import (
    VGG16,
    AMPPreActResNet18,
    LargeStemResNet,
    ModelConfig,
    PyramidNet,
    SmallStemResNet,
    WideResNet,
    build,
    preact_resnet18,
    wrn_34_10,
)

CIFAR = ((0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616))
FROM_TORCHVISION = ("resnet18", "resnet18-imagenet") if find_spec("torchvision") else ()
PUBLISHED = ("preact-resnet18-amp", "vgg16", "wrn-28-10", "pyramidnet-164-270", "wrn-34-10", *FROM_TORCHVISION)


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


def test_amps_preact_resnet18_differs_from_the_usual_one_by_its_biases():
    # A bias for each of 16 3×3 convolutions and 3 shortcuts: 2 · 2 · (64 + 128 + 256 + 512) + 128 + 256 + 512.
    assert count(AMPPreActResNet18(10, *CIFAR)) == count(preact_resnet18(10, *CIFAR)) + 3840 + 896


def test_vgg16_has_the_convolutions_of_the_paper_and_two_hidden_layers():
    widths = [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
    convolutions = sum(9 * a * b + b for a, b in itertools.pairwise(widths))
    assert convolutions == 14_714_688  # of the paper's 138 million, what is not the head
    head = 512 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * 10 + 10
    assert count(VGG16(10, *CIFAR)) == convolutions + 2 * sum(widths[1:]) + head


def test_wrn_28_10_has_the_published_number_of_parameters():
    assert count(WideResNet(28, 10, 10, *CIFAR)) == 36_479_194  # 36.5 million
    assert round(count(WideResNet(28, 10, 100, *CIFAR)) / 1e6, 1) == 36.5


def test_the_networks_of_adversarial_training_have_the_published_number_of_parameters():
    assert count(wrn_34_10(10, *CIFAR)) == 46_160_474  # 46.16 million
    pytest.importorskip("torchvision")
    assert count(SmallStemResNet(18, 10, *CIFAR)) == 11_173_962  # 11.17 million
    assert count(SmallStemResNet(50, 10, *CIFAR)) == 23_520_842  # 23.52 million


def test_the_networks_of_imagenet_have_the_published_number_of_parameters():
    pytest.importorskip("torchvision")
    assert count(LargeStemResNet(18, 1000, *CIFAR)) == 11_689_512  # 11.69 million
    assert count(build(ModelConfig(model="resnet50-imagenet"), 1000, *CIFAR)) == 25_557_032  # 25.56 million


@pytest.mark.parametrize(("channels", "mean"), [(3, CIFAR[0]), (1, (0.5,))])
def test_a_large_stem_quarters_the_size_of_the_image(channels, mean):
    pytest.importorskip("torchvision")
    model, seen = LargeStemResNet(18, 10, mean, mean).eval(), []
    model.network.layer1.register_forward_pre_hook(lambda module, x: seen.append(tuple(x[0].shape)))
    model(torch.rand(1, channels, 64, 64))
    assert seen == [(1, 64, 16, 16)]


def test_a_small_stem_keeps_the_size_of_the_image():
    pytest.importorskip("torchvision")
    model, seen = SmallStemResNet(18, 10, *CIFAR).eval(), []
    model.network.layer1.register_forward_hook(lambda module, x, out: seen.append(tuple(out.shape)))
    model(torch.rand(1, 3, 32, 32))
    assert seen == [(1, 64, 32, 32)]


def test_pyramidnet_has_the_published_number_of_parameters():
    assert round(count(PyramidNet(164, 270, 10, *CIFAR)) / 1e6, 2) == 27.22


def test_the_widest_pyramid_block_is_alpha_wider_than_the_stem():
    model = PyramidNet(164, 270, 10, *CIFAR)
    assert model.linear.in_features == 4 * (16 + 270)
    assert len(model.blocks) == 54


@pytest.mark.parametrize("name", PUBLISHED)
def test_images_become_logits_and_every_parameter_has_a_gradient(name):
    torch.manual_seed(0)
    model = build(ModelConfig(model=name), 10, *CIFAR)
    logits = model(torch.rand(2, 3, 32, 32))
    assert logits.shape == (2, 10)
    F.cross_entropy(logits, torch.tensor([1, 2])).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


def test_an_identity_shortcut_of_amps_network_carries_the_activated_input():
    block = AMPPreActResNet18(10, *CIFAR).stages[0][0].eval()
    for layer in (block.conv1, block.conv2):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    x = torch.randn(1, 64, 4, 4)
    torch.testing.assert_close(block(x), F.relu(x) / math.sqrt(1 + 1e-5))  # batch norm as it starts, and ReLU


def test_a_pyramid_shortcut_is_averaged_down_and_padded_with_zeros():
    model = PyramidNet(11, 12, 10, *CIFAR).eval()
    block = model.blocks[1]
    nn.init.zeros_(block.residual[-1].weight)
    nn.init.zeros_(block.residual[-1].bias)
    x = torch.randn(1, 80, 4, 4)
    out = block(x)
    assert out.shape == (1, 96, 2, 2)
    torch.testing.assert_close(out[:, :80], F.avg_pool2d(x, 2))
    assert (out[:, 80:] == 0).all()


def test_the_wide_networks_stride_is_in_the_second_convolution():
    model = WideResNet(10, 1, 10, *CIFAR)
    assert [block[0].conv1.stride for block in model.stages] == [(1, 1)] * 3
    assert [block[0].conv2.stride for block in model.stages] == [(1, 1), (2, 2), (2, 2)]
    assert model.bn.momentum == 0.9


@pytest.mark.parametrize("name", ["small-resnet", "preact-resnet18", *PUBLISHED])
def test_dropout_is_where_it_is_asked_for(name):
    def drops(share):
        model = build(ModelConfig(model=name, width=4, dropout=share), 10, *CIFAR)
        return [m.p for m in model.modules() if isinstance(m, nn.Dropout)]

    assert drops(0.0) == []
    assert drops(0.1)
    assert set(drops(0.1)) == {0.1}


def test_convolutions_start_with_the_spread_of_their_fan_out():
    torch.manual_seed(0)
    model = AMPPreActResNet18(10, *CIFAR)
    convolution = model.stages[3][1].conv2
    assert convolution.weight.std().item() == pytest.approx(math.sqrt(2 / (512 * 9)), rel=0.01)
    assert (model.linear.bias == 0).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: WideResNet(27, 10, 10, *CIFAR), "depth is 6n"),
        (lambda: PyramidNet(100, 48, 10, *CIFAR), "depth is 9n"),
        (lambda: ModelConfig(dropout=1.0), r"dropout must lie in \[0, 1\)"),
    ],
)
def test_what_cannot_be_built_is_refused(make, message):
    with pytest.raises(lethe.LetheError, match=message):
        make()
