"""Forgetting changes what is masked, draws it as the layer was born, and clears the optimizer's memory of it."""

import copy
import math

import pytest
import torch
from torch import nn

import lethe
from lethe import forget


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Flatten(), nn.Linear(256, 5))


def trained(model, optimizer):
    for _ in range(3):

        def closure():
            optimizer.zero_grad()
            loss = model(torch.rand(8, 2, 6, 6)).square().mean()
            loss.backward()
            return loss

        optimizer.step(closure)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_only_the_masked_weights_change():
    model = network()
    before = copy.deepcopy(model.state_dict())
    masks = forget.random_mask(model, 0.3, generator=generator())
    report = forget.reinitialize(model, masks, generator=generator(1))
    for name, value in model.state_dict().items():
        if name in masks:
            assert torch.equal(value[~masks[name]], before[name][~masks[name]])
            assert (value[masks[name]] != before[name][masks[name]]).all()
        else:
            assert torch.equal(value, before[name])
    assert report.by_name == {"0.weight": round(0.3 * 288), "4.weight": 384}
    assert report.count == sum(report.by_name.values())
    assert report.of == sum(p.numel() for p in model.parameters())
    assert str(report) == f"forgot 470 of {report.of:,} weights ({report.fraction:.1%})"


def test_new_values_have_the_layers_own_distribution():
    model = nn.Sequential(nn.Linear(400, 300), nn.Conv2d(8, 64, 3))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(9.0)
    forget.reinitialize(model, forget.random_mask(model, 1.0), generator=generator())
    for layer, fan_in in ((model[0], 400), (model[1], 72)):
        bound = 1 / math.sqrt(fan_in)
        values = layer.weight
        assert values.abs().max() <= bound
        assert values.abs().max() > 0.99 * bound
        assert values.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.03)
        assert values.mean().abs() < 0.02 * bound
        assert (layer.bias == 9.0).all()


def test_a_layer_with_an_initialiser_of_its_own_uses_it():
    class Born(nn.Linear):
        def reset_parameters(self):
            nn.init.constant_(self.weight, 7.0)
            nn.init.zeros_(self.bias)

    layer = Born(3, 2)
    with torch.no_grad():
        layer.weight.zero_()
    mask = torch.tensor([[True, False, False], [False, False, True]])
    forget.reinitialize(layer, {"weight": mask})
    assert layer.weight.tolist() == [[7.0, 0.0, 0.0], [0.0, 0.0, 7.0]]


def test_batch_norm_goes_back_to_one_and_zero_and_keeps_its_statistics():
    model = network()
    with torch.no_grad():
        model[1].weight.fill_(3.0)
        model[1].bias.fill_(3.0)
        model[1].running_mean.fill_(5.0)
    forget.reinitialize(model, forget.random_mask(model, 0.5, select=forget.named("1.*")))
    assert sorted(set(model[1].weight.tolist())) == [1.0, 3.0]
    assert sorted(set(model[1].bias.tolist())) == [0.0, 3.0]
    assert (model[1].running_mean == 5.0).all()


@pytest.mark.parametrize("kind", ["sgd", "adam", "amp"])
def test_the_optimizer_forgets_what_was_forgotten_and_nothing_else(kind):
    model = network()
    optimizer = {
        "sgd": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9),
        "adam": lambda p: torch.optim.Adam(p, 0.1),
        "amp": lambda p: lethe.AMP(p, 0.1, epsilon=0.1, momentum=0.9),
    }[kind](model.parameters())
    trained(model, optimizer)
    before = copy.deepcopy(optimizer.state_dict()["state"])
    masks = forget.random_mask(model, 0.4, generator=generator())
    forget.reinitialize(model, masks, optimizer=optimizer)
    for index, (name, _) in enumerate(model.named_parameters()):
        entry = optimizer.state_dict()["state"][index]
        for key, value in entry.items():
            old = before[index][key]
            if key == "step" or name not in masks:
                assert torch.equal(value, old)
            else:
                assert (value[masks[name]] == 0).all()
                assert torch.equal(value[~masks[name]], old[~masks[name]])


def test_without_an_optimizer_no_state_is_touched_and_before_the_first_step_there_is_none():
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    forget.reinitialize(model, forget.random_mask(model, 0.4), optimizer=optimizer)
    assert not optimizer.state


def test_a_generator_decides_alone_and_the_global_one_is_not_moved():
    values = []
    for noise in (1, 2):
        model = network()
        masks = forget.random_mask(model, 0.4, generator=generator())
        torch.manual_seed(noise)
        before = torch.get_rng_state()
        forget.reinitialize(model, masks, generator=generator(5))
        assert torch.equal(torch.get_rng_state(), before)
        values.append(copy.deepcopy(model.state_dict()))
    assert all(torch.equal(values[0][name], values[1][name]) for name in values[0])


def test_one_generator_draws_new_values_at_each_forgetting():
    model, stream = network(), generator()
    masks = {"4.weight": torch.ones(5, 256, dtype=torch.bool)}
    forget.reinitialize(model, masks, generator=stream)
    first = model[4].weight.detach().clone()
    forget.reinitialize(model, masks, generator=stream)
    assert not torch.equal(first, model[4].weight)


def test_addresses_and_half_precision_stay():
    model = network().to(torch.bfloat16)
    address = model[4].weight.data_ptr()
    forget.reinitialize(model, forget.random_mask(model, 0.5))
    assert model[4].weight.data_ptr() == address
    assert model[4].weight.dtype == torch.bfloat16


def test_attention_is_re_drawn_too():
    attention = nn.MultiheadAttention(8, 2)
    masks = forget.random_mask(attention, 0.5, select=forget.named("in_proj_weight", "out_proj.weight"))
    report = forget.reinitialize(attention, masks)
    assert report.by_name == {"in_proj_weight": 96, "out_proj.weight": 32}


class Raw(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ({"4.wieght": torch.ones(5, 256, dtype=torch.bool)}, "no parameter '4.wieght'. Did you mean '4.weight'"),
        ({"4.weight": torch.ones(5, 255, dtype=torch.bool)}, r"bool tensor of shape \(5, 256\)"),
        ({"4.weight": torch.ones(5, 256)}, "must be a bool tensor"),
        ({"5.scale": torch.ones(3, dtype=torch.bool)}, "Raw has no reset_parameters"),
    ],
)
def test_a_bad_mask_is_an_error_and_changes_nothing(masks, message):
    model = network().append(Raw())
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match=message):
        forget.reinitialize(model, {"0.weight": torch.ones(16, 2, 3, 3, dtype=torch.bool), **masks})
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
