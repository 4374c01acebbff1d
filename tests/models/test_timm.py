"""Networks of timm, by name."""

import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import lethe
from lethe.attacks import PGD
from lethe.models import ModelConfig, TimmNetwork, build

CIFAR = ((0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616))
GREY = ((0.3,), (0.4,))

pytest.importorskip("timm")


def made(name, classes=10, facts=CIFAR, size=None, **options):
    return build(ModelConfig(model=f"timm:{name}", **options), classes, *facts, size)


def test_a_small_vision_transformer_is_trained_and_attacked():
    torch.manual_seed(0)
    model = made("vit_tiny_patch16_224", size=32)
    x, y = torch.rand(2, 3, 32, 32), torch.tensor([1, 2])
    attacked = PGD(epsilon=8 / 255, step_size=2 / 255, steps=1)(model, x, y)
    assert 0 < (attacked - x).abs().max() <= 8 / 255 + 1e-6
    logits = model(attacked)
    assert logits.shape == (2, 10)
    F.cross_entropy(logits, y).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


def test_a_network_has_the_published_number_of_parameters():
    parameters = sum(p.numel() for p in made("vit_tiny_patch16_224", classes=1000).parameters())
    assert parameters == 5_717_416  # 5.7 million


@pytest.mark.parametrize("size", [None, 32])
def test_a_network_that_takes_any_size_is_not_told_it(size):
    model = made("test_resnet", classes=7, facts=GREY, size=size).eval()
    assert model(torch.rand(2, 1, 40, 40)).shape == (2, 7)


def test_images_are_normalised_inside():
    model = TimmNetwork("test_resnet", 4, *CIFAR).eval()
    x = torch.rand(2, 3, 32, 32)
    mean, std = (torch.tensor(numbers).view(3, 1, 1) for numbers in CIFAR)
    assert torch.equal(model(x), model.network((x - mean) / std))


def test_weights_are_drawn_from_torchs_generator_and_the_network_is_in_train_mode():
    states = []
    for _ in range(2):
        torch.manual_seed(5)
        model = made("test_vit", size=32)
        states.append(model.state_dict())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    assert all(module.training for module in model.modules())


@pytest.mark.parametrize("share", [0.0, 0.25])
def test_dropout_is_that_before_the_head(share):
    drops = {m.p for m in made("test_vit", size=32, dropout=share).modules() if isinstance(m, nn.Dropout)}
    assert drops == {0.0, share}


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            "timm:vit_tiny_patch16_242",
            "no network 'vit_tiny_patch16_242'. Did you mean 'vit_tiny_patch16_224'",
        ),
        ("timm:", "timm has no network ''"),
        ("timm:resnet18.a1_in1k", "names pretrained weights, which are not loaded: write timm:resnet18"),
        ("timm:hf-hub:timm/resnet18", "timm has no network 'hf-hub:timm/resnet18'"),
        ("tim:resnet18", "Did you mean 'resnet18'"),
    ],
)
def test_a_name_that_timm_does_not_have_is_refused(model, message):
    with pytest.raises(lethe.LetheError, match=message):
        ModelConfig(model=model)


@pytest.mark.parametrize(("name", "size"), [("vit_tiny_patch16_224", 8), ("test_vit", 24)])
def test_images_that_it_cannot_take_are_refused(name, size):
    with pytest.raises(lethe.LetheError, match=f"cannot (take|be built for) images of .*{size}x{size}"):
        made(name, size=size)


def test_without_timm_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(lethe.LetheError, match="'timm:resnet18' needs the library timm: pip install timm"):
        ModelConfig(model="timm:resnet18")
