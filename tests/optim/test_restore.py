"""Every rule: weights come back bit for bit, at the same addresses, and what is not theirs stays alone."""

import copy

import pytest
import torch
from torch import nn
from two_pass_trials import closure_for, every_rule, network, same


@every_rule
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_weights_come_back_bit_for_bit_at_the_same_addresses(rule, dtype):
    model = network(dtype)
    optimizer = rule.build(model.parameters(), lr=0.0)
    before = [p.detach().clone() for p in model.parameters()]
    addresses = [p.data_ptr() for p in model.parameters()]
    seen = []
    x = torch.randn(16, 6, dtype=dtype)
    inner = closure_for(model, optimizer, x)

    def closure():
        seen.append(model[0].weight.detach().clone())
        return inner()

    for _ in range(20):
        optimizer.step(closure)
    assert any(not torch.equal(weight, before[0]) for weight in seen)  # it was perturbed
    assert all(torch.equal(p, b) for p, b in zip(model.parameters(), before, strict=True))
    assert [p.data_ptr() for p in model.parameters()] == addresses


@every_rule
def test_a_thousand_perturbations_in_bf16_do_not_move_weights_without_gradient(rule):
    model = network(torch.bfloat16)
    unused = nn.Linear(8, 8).to(torch.bfloat16)  # its gradient is there, and zero
    optimizer = rule.build([*model.parameters(), *unused.parameters()], lr=0.01)
    before = copy.deepcopy(unused)
    x = torch.randn(4, 6, dtype=torch.bfloat16)

    def closure():
        optimizer.zero_grad()
        (model(x).float().square().mean() + 0 * unused(torch.ones_like(x).repeat(1, 2)[:, :8]).float().sum()).backward()

    for _ in range(1000 // max(1, rule.passes - 1)):
        optimizer.step(closure)
    assert all((p.grad == 0).all() for p in unused.parameters())
    assert same(unused, before)


@every_rule
def test_weights_come_back_when_a_pass_raises(rule):
    model = network()
    optimizer = rule.build(model.parameters(), lr=0.1, momentum=0.9)
    before, calls = copy.deepcopy(model.state_dict()), []
    inner = closure_for(model, optimizer, torch.randn(16, 6))

    def closure():
        calls.append(1)
        if len(calls) == rule.passes:
            model(torch.randn(4, 7))  # the wrong shape
        return inner()

    with pytest.raises(RuntimeError, match="shapes"):
        optimizer.step(closure)
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())
    assert model[1].track_running_stats
    optimizer.step(inner)  # and it goes on


@every_rule
def test_frozen_and_unused_parameters_are_left_alone(rule):
    model, unused = network(), nn.Parameter(torch.ones(2))
    model[0].weight.requires_grad_(False)
    frozen = model[0].weight.detach().clone()
    optimizer = rule.build([*model.parameters(), unused], lr=0.1, momentum=0.9)
    optimizer.step(closure_for(model, optimizer, torch.randn(16, 6)))
    assert torch.equal(model[0].weight, frozen)
    assert torch.equal(unused.detach(), torch.ones(2))


@every_rule
def test_tied_weights_are_moved_once(rule):
    layer = nn.Linear(4, 4, bias=False)
    tied = nn.Sequential(layer, nn.Tanh(), layer)
    optimizer = rule.build(tied.parameters(), lr=0.0)
    before = layer.weight.detach().clone()
    optimizer.step(closure_for(tied, optimizer, torch.randn(8, 4)))
    assert torch.equal(layer.weight, before)


@every_rule
def test_a_layer_frozen_while_it_holds_a_gradient_is_left_alone(rule):
    model = network()
    optimizer = rule.build(model.parameters(), lr=0.0)
    model(torch.randn(16, 6)).square().sum().backward()
    model[3].weight.requires_grad_(False)
    before = model[3].weight.detach().clone()

    def closure():
        model(torch.ones(16, 6)).square().mean().backward()

    optimizer.step(closure)
    assert torch.equal(model[3].weight, before)


@every_rule
def test_weights_that_a_closure_thaws_come_back_too(rule):
    """As an attack that freezes the network for its own passes may do."""
    model = network()
    optimizer = rule.build(model.parameters(), lr=0.0)
    model[0].requires_grad_(False)
    before = copy.deepcopy(model)
    inner = closure_for(model, optimizer, torch.randn(16, 6))

    def closure():
        model.requires_grad_(True)
        return inner()

    optimizer.step(closure)
    assert same(model, before)
