"""Every rule: passes counted in FLOPs, memory in copies of the weights."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from two_pass_trials import closure_for, every_rule, network

import lethe


def cost(work):
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


@every_rule
def test_a_step_costs_three_forward_passes_for_each_of_its_passes(rule):
    model = nn.Sequential(nn.Linear(64, 64, bias=False), nn.ReLU(), nn.Linear(64, 64, bias=False))
    x = torch.randn(32, 64, requires_grad=True)  # so that the first layer's backward is a full one
    optimizer = rule.build(model.parameters(), lr=0.1, momentum=0.9)
    forward = cost(lambda: model(x))
    assert cost(lambda: optimizer.step(closure_for(model, optimizer, x))) == 3 * rule.passes * forward
    assert rule.cost == f"{3 * rule.passes}F"


@pytest.mark.parametrize("inner_iter", [0, 1, 2])
def test_each_of_amps_ascents_costs_three_forward_passes(inner_iter):
    model = nn.Sequential(nn.Linear(64, 64, bias=False), nn.ReLU(), nn.Linear(64, 64, bias=False))
    x = torch.randn(32, 64, requires_grad=True)
    optimizer = lethe.AMP(model.parameters(), lr=0.1, epsilon=0.5, inner_iter=inner_iter, momentum=0.9)
    forward = cost(lambda: model(x))
    assert cost(lambda: optimizer.step(closure_for(model, optimizer, x))) == 3 * (1 + inner_iter) * forward


@every_rule
def test_the_memory_it_keeps_is_the_stated_one(rule):
    model = network()
    optimizer = rule.build(model.parameters(), lr=0.1)
    optimizer.step(closure_for(model, optimizer, torch.randn(16, 6)))
    kept = sum(t.numel() for store in (optimizer._saved, optimizer._delta) for t in store.values())
    weights = sum(p.numel() for p in model.parameters())
    assert rule.memory - 1 < kept / weights <= rule.memory
