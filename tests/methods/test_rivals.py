"""What LURE is measured against, between two megabatches: by hand, and as LURE's code has it."""

import copy

import pytest
import torch
from torch import nn

import lethe
from lethe.methods import (
    ForgettableConfig,
    LLFConfig,
    RandomForgettingConfig,
    ScratchConfig,
    ShrinkPerturbConfig,
    forget_last_layer,
)
from lethe.methods._rivals import EARLY_LAYERS
from lethe.models import ModelConfig, build


def network():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(32, 3))
    model(torch.rand(4, 1, 4, 4))  # which moves batch norm's statistics
    return model


def stepped(model):
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    model(torch.rand(4, 1, 4, 4)).square().sum().backward()
    optimizer.step()
    return optimizer


def generator():
    return torch.Generator().manual_seed(3)


def state(model):
    return copy.deepcopy(model.state_dict())


def moved(model, before):
    return {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}


def test_shrink_and_perturb_by_hand():
    model = network()
    optimizer, before = stepped(model), state(model)
    before = state(model)
    ShrinkPerturbConfig().forget(model, optimizer, generator())
    assert torch.allclose(model[1].weight, 0.4 * before["1.weight"] + 0.1)  # a new batch norm's weight is 1
    assert torch.allclose(model[1].bias, 0.4 * before["1.bias"])
    noise = (model[0].weight - 0.4 * before["0.weight"]) / 0.1
    assert noise.abs().max() <= 1 / 3 + 1e-5
    assert model[1].running_mean.eq(0).all()
    assert all(s["momentum_buffer"].eq(0).all() for s in optimizer.state.values())


def test_shrink_and_perturb_as_lures_code():
    model = network()
    optimizer = stepped(model)
    before = state(model)
    momentum = [s["momentum_buffer"].clone() for s in optimizer.state.values()]
    ShrinkPerturbConfig(official=True).forget(model, optimizer, generator())
    assert torch.equal(model[1].running_mean, before["1.running_mean"])
    for at, bound in ((0, 1 / 3), (1, 1.0), (4, 32**-0.5)):
        noise = (model[at].weight - 0.3 * before[f"{at}.weight"]) / 0.001
        assert 0.3 * bound < noise.abs().max() <= bound * 1.01
    assert (model[1].bias - 0.3 * before["1.bias"]).abs().max() <= 0.001  # vectors' from -1 to 1
    kept = [s["momentum_buffer"] for s in optimizer.state.values()]
    assert all(torch.equal(a, b) for a, b in zip(kept, momentum, strict=True))
    own = network()
    ShrinkPerturbConfig(official=True, shrink=1.0, perturb=0.0).forget(own, None, generator())
    assert moved(own, state(network())) == set()


@pytest.mark.parametrize(
    ("config", "forgotten"),
    [
        (LLFConfig(), {"4.weight"}),
        (LLFConfig(later_layers=1.0), {"0.weight", "4.weight"}),
        (LLFConfig(from_layer="4."), {"4.weight", "4.bias"}),
    ],
)
def test_later_layers_are_forgotten_wholly(config, forgotten):
    model = network()
    before = state(model)
    config.forget(model, None, generator())
    assert moved(model, before) == forgotten
    for name in forgotten:
        assert (model.state_dict()[name] != before[name]).all()


def test_later_layers_as_lures_code_are_a_resnet18s():
    pytest.importorskip("torchvision")
    torch.manual_seed(0)
    model = build(ModelConfig(model="resnet18"), 10, (0.5,), (0.2,))
    before = state(model)
    LLFConfig(official=True).forget(model, None, generator())
    names = {name.removeprefix("network.") for name in moved(model, before)}
    stages = {f"layer{stage}.{block}.conv{i}.weight" for stage in (3, 4) for block in (0, 1) for i in (1, 2)}
    assert names == {*stages, "fc.1.weight"}
    assert len(EARLY_LAYERS) == 9


@pytest.mark.parametrize("name", ["small-resnet", "resnet50"])
def test_the_published_list_is_refused_where_it_would_reset_nearly_everything(name):
    if name == "resnet50":
        pytest.importorskip("torchvision")
    model = build(ModelConfig(model=name), 10, (0.5,), (0.2,))
    before = state(model)
    with pytest.raises(lethe.LetheError, match="list of later layers is a ResNet-18's"):
        LLFConfig(official=True).forget(model, None, generator())
    assert moved(model, before) == set()


def test_a_layer_that_is_not_there_is_an_error():
    with pytest.raises(lethe.LetheError, match="no parameter's name contains 'layer9'"):
        LLFConfig(from_layer="layer9").forget(network(), None, generator())


def test_rifle_redraws_the_head_and_clears_its_momentum():
    model = network()
    optimizer = stepped(model)
    before = state(model)
    forget_last_layer(model, optimizer, generator())
    assert moved(model, before) == {"4.weight", "4.bias"}
    for at, cleared in ((0, False), (4, True)):
        assert bool(optimizer.state[model[at].weight]["momentum_buffer"].eq(0).all()) is cleared


def test_random_forgetting_redraws_an_exact_share_of_each_tensor():
    model = network()
    report = RandomForgettingConfig(fraction=0.25).forget(model, ForgettableConfig().selector(), None, generator())
    assert report.by_name == {"0.weight": 18, "4.weight": 24}


@pytest.mark.parametrize(
    ("config", "names"),
    [
        (ForgettableConfig(), ["0.weight", "4.weight"]),
        (ForgettableConfig(later_layers=0.5), ["4.weight"]),
        (ForgettableConfig(forget_only=("*.bias",)), ["0.bias", "1.bias", "4.bias"]),
        (ForgettableConfig(everything=True), ["0.weight", "0.bias", "1.weight", "1.bias", "4.weight", "4.bias"]),
    ],
)
def test_what_may_be_forgotten(config, names):
    assert config.selector().find(network()) == names


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ForgettableConfig(everything=True, later_layers=0.5), "give one"),
        (lambda: ForgettableConfig(later_layers=0.0), "would select nothing"),
        (lambda: LLFConfig(official=True, from_layer="layer4"), "give one"),
        (lambda: LLFConfig(later_layers=1.5), "must lie in"),
        (lambda: ShrinkPerturbConfig(shrink=1.5), "shrink must lie in"),
        (lambda: ShrinkPerturbConfig(perturb=-1.0), "perturb must be a finite number"),
        (lambda: RandomForgettingConfig(fraction=2.0), "fraction must lie in"),
        (lambda: ScratchConfig(scratch_weights="old"), "unknown scratch_weights"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(lethe.LetheError, match=message):
        make()
