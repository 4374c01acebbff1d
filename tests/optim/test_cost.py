"""Every rule: passes counted in FLOPs, memory in copies of the weights."""

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode
from two_pass_trials import closure_for, every_rule, network

import lethe
from lethe.optim import RULES


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


class Watch(TorchDispatchMode):
    """Count what is dispatched: everything, and what makes the host wait for the device."""

    WAITS = ("aten::_local_scalar_dense", "aten::item", "aten::nonzero", "aten::equal", "aten::_to_cpu")

    def __init__(self):
        super().__init__()
        self.operations, self.waits, self.paused = 0, [], False

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        if not self.paused:
            self.operations += 1
            if function.name().split(".")[0] in self.WAITS:
                self.waits.append(function.name())
        return function(*arguments, **(options or {}))


def watched_step(rule, layers, **options):
    """What a third step dispatches around its closure, for a network of so many layers."""
    torch.manual_seed(0)
    model = nn.Sequential(*(nn.Linear(4, 4) for _ in range(layers)))
    optimizer = rule.build(model.parameters(), lr=0.1, momentum=0.9, foreach=True, **options)
    inner, watch = closure_for(model, optimizer, torch.randn(8, 4)), Watch()

    def closure():
        watch.paused = True
        result = inner()
        watch.paused = False
        return result

    optimizer.step(closure)
    optimizer.step(closure)
    buffers = [t.data_ptr() for store in (optimizer._saved, optimizer._delta) for t in store.values()]
    with watch:
        optimizer.step(closure)
    assert buffers == [t.data_ptr() for store in (optimizer._saved, optimizer._delta) for t in store.values()]
    return watch


@every_rule
def test_nothing_waits_for_the_device(rule):
    assert watched_step(rule, 3, clip_norm=1.0, clip_ascent=True).waits == []


@pytest.mark.parametrize("name", ["AMP", "AMP, global", "AMP, linf", "SAM", "AWP", "RWP"])
def test_more_tensors_are_not_more_operations(name):
    few, many = (watched_step(RULES[name], layers).operations for layers in (2, 40))
    assert many - few <= 40  # views of weights, which are no kernels; a loop would have hundreds
