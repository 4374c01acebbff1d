"""What every two-pass optimizer keeps: exact weights, whole state, still batch statistics, counted cost."""

import copy
import io
import pickle

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import lethe


def network(dtype=torch.float32):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 3)).to(dtype)


def closure_for(model, optimizer, x):
    def closure():
        optimizer.zero_grad()
        outputs = model(x)
        loss = outputs.float().square().mean()
        loss.backward()
        return outputs, loss

    return closure


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_weights_come_back_bit_for_bit_at_the_same_addresses(dtype):
    model = network(dtype)
    optimizer = lethe.AMP(model.parameters(), lr=0.0, epsilon=0.3, inner_iter=2)
    before = [p.detach().clone() for p in model.parameters()]
    addresses = [p.data_ptr() for p in model.parameters()]
    seen = []
    x = torch.randn(16, 6, dtype=dtype)
    inner = closure_for(model, optimizer, x)

    def closure():
        seen.append(model[0].weight.detach().clone())
        return inner()

    for _ in range(50):
        optimizer.step(closure)
    assert not torch.equal(seen[0], seen[1])  # it was perturbed
    assert all(torch.equal(p, b) for p, b in zip(model.parameters(), before, strict=True))
    assert [p.data_ptr() for p in model.parameters()] == addresses


def test_weights_come_back_when_a_perturbed_pass_raises():
    model = network()
    optimizer = lethe.AMP(model.parameters(), lr=0.1, epsilon=0.3, momentum=0.9)
    before, calls = copy.deepcopy(model.state_dict()), []
    inner = closure_for(model, optimizer, torch.randn(16, 6))

    def closure():
        calls.append(1)
        if len(calls) == 2:
            model(torch.randn(4, 7))  # the wrong shape
        return inner()

    with pytest.raises(RuntimeError, match="shapes"):
        optimizer.step(closure)
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())
    assert model[1].track_running_stats
    optimizer.step(inner)  # and it goes on


def test_step_returns_what_the_first_call_returned():
    model = network()
    optimizer = lethe.AMP(model.parameters(), lr=0.1, epsilon=0.5, momentum=0.9)
    x = torch.randn(16, 6)
    expected = model(x)
    outputs, loss = optimizer.step(closure_for(model, optimizer, x))
    assert torch.equal(outputs, expected)
    assert torch.equal(loss, expected.square().mean())
    results = iter(["first", "second"])
    inner = closure_for(model, optimizer, x)
    assert optimizer.step(lambda: (inner(), next(results))[1]) == "first"


@pytest.mark.parametrize("base", [torch.optim.SGD, torch.optim.AdamW])
@pytest.mark.parametrize("stop", [1, 10])
def test_a_saved_optimizer_goes_on_to_the_bit(base, stop):
    options = {"momentum": 0.9} if base is torch.optim.SGD else {}
    batches = torch.randn(20, 16, 6)

    def build(model):
        return lethe.AMP(model.parameters(), lr=0.05, epsilon=0.3, inner_iter=2, base_optimizer=base, **options)

    model = network()
    optimizer = build(model)
    file = io.BytesIO()
    for step, x in enumerate(batches):
        if step == stop:
            torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, file)
        optimizer.step(closure_for(model, optimizer, x))
    file.seek(0)
    state = torch.load(file, weights_only=True)
    again = network()
    resumed = build(again)
    again.load_state_dict(state["model"])
    resumed.load_state_dict(state["optimizer"])
    for x in batches[stop:]:
        resumed.step(closure_for(again, resumed, x))
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


def test_the_state_dict_holds_the_base_optimizers_state_and_nothing_else():
    model = network()
    optimizer = lethe.AMP(model.parameters(), lr=0.05, epsilon=0.3, momentum=0.9)
    optimizer.step(closure_for(model, optimizer, torch.randn(16, 6)))
    entries = optimizer.state_dict()["state"]
    assert len(entries) == len(list(model.parameters()))
    assert all(set(entry) == {"momentum_buffer"} for entry in entries.values())


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_a_copied_optimizer_works(copied):
    model = network()
    x = torch.randn(16, 6)
    optimizer = lethe.AMP(model.parameters(), lr=0.05, epsilon=0.3, momentum=0.9, ball="global")
    optimizer.step(closure_for(model, optimizer, x))
    twin_model, twin = copied((model, optimizer))
    assert twin.param_groups is twin.base_optimizer.param_groups
    assert twin.ball == "global"
    for m, o in ((model, optimizer), (twin_model, twin)):
        o.step(closure_for(m, o, x))
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), twin_model.parameters(), strict=True))


def test_schedulers_reach_the_base_optimizer_also_after_loading():
    model = network()
    optimizer = lethe.AMP(model.parameters(), lr=0.5, epsilon=0.3, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.1)
    optimizer.load_state_dict(optimizer.state_dict())
    optimizer.step(closure_for(model, optimizer, torch.randn(16, 6)))
    scheduler.step()
    assert optimizer.param_groups is optimizer.base_optimizer.param_groups
    assert optimizer.base_optimizer.param_groups[0]["lr"] == pytest.approx(0.05)


def test_a_group_added_later_takes_the_defaults_and_is_trained():
    model, late = network(), nn.Parameter(torch.ones(3))
    optimizer = lethe.AMP(model.parameters(), lr=0.1, epsilon=0.3, momentum=0.9)
    optimizer.add_param_group({"params": [late], "inner_lr": 0.5})
    group = optimizer.param_groups[1]
    assert (group["epsilon"], group["inner_lr"], group["momentum"]) == (0.3, 0.5, 0.9)

    def closure():
        optimizer.zero_grad()
        (model(torch.ones(4, 6)) * late).square().sum().backward()

    optimizer.step(closure)
    assert not torch.equal(late.detach(), torch.ones(3))
    with pytest.raises(ValueError, match="epsilon"):
        optimizer.add_param_group({"params": [nn.Parameter(torch.ones(1))], "epsilon": -1.0})


def test_batch_statistics_move_once_a_step_as_at_the_unperturbed_weights():
    model, plain = network(), network()
    optimizer = lethe.AMP(model.parameters(), lr=0.0, epsilon=0.5, inner_iter=3)
    for _ in range(4):
        x = torch.randn(16, 6)
        optimizer.step(closure_for(model, optimizer, x))
        plain(x)
    assert int(model[1].num_batches_tracked) == 4
    assert torch.equal(model[1].running_mean, plain[1].running_mean)
    assert torch.equal(model[1].running_var, plain[1].running_var)


def test_batch_statistics_move_in_every_pass_on_request():
    model = network()
    optimizer = lethe.AMP(model.parameters(), lr=0.1, epsilon=0.5, inner_iter=3, batch_statistics="every")
    optimizer.step(closure_for(model, optimizer, torch.randn(16, 6)))
    assert int(model[1].num_batches_tracked) == 4


def test_still_statistics_do_not_change_the_gradients():
    models = [network(), network()]
    x = torch.randn(16, 6)
    for model, statistics in zip(models, ("first", "every"), strict=True):
        optimizer = lethe.AMP(model.parameters(), lr=0.1, epsilon=0.5, batch_statistics=statistics)
        optimizer.step(closure_for(model, optimizer, x))
    assert all(torch.equal(a, b) for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True))


@pytest.mark.parametrize("inner_iter", [0, 1, 2])
def test_a_step_costs_three_forward_passes_for_each_of_its_passes(inner_iter):
    model = nn.Sequential(nn.Linear(64, 64, bias=False), nn.ReLU(), nn.Linear(64, 64, bias=False))
    x = torch.randn(32, 64, requires_grad=True)  # so that the first layer's backward is a full one
    optimizer = lethe.AMP(model.parameters(), lr=0.1, epsilon=0.5, inner_iter=inner_iter, momentum=0.9)
    with FlopCounterMode(display=False) as forward:
        model(x)
    with FlopCounterMode(display=False) as step:
        optimizer.step(closure_for(model, optimizer, x))
    assert step.get_total_flops() == 3 * (1 + inner_iter) * forward.get_total_flops()


def test_frozen_and_unused_parameters_are_left_alone():
    model, unused = network(), nn.Parameter(torch.ones(2))
    model[0].weight.requires_grad_(False)
    frozen = model[0].weight.detach().clone()
    optimizer = lethe.AMP([*model.parameters(), unused], lr=0.1, epsilon=0.5, momentum=0.9)
    optimizer.step(closure_for(model, optimizer, torch.randn(16, 6)))
    assert torch.equal(model[0].weight, frozen)
    assert torch.equal(unused.detach(), torch.ones(2))


def test_tied_weights_are_moved_once():
    layer = nn.Linear(4, 4, bias=False)
    tied = nn.Sequential(layer, nn.Tanh(), layer)
    optimizer = lethe.AMP(tied.parameters(), lr=0.0, epsilon=0.5)
    before = layer.weight.detach().clone()
    optimizer.step(closure_for(tied, optimizer, torch.randn(8, 4)))
    assert torch.equal(layer.weight, before)


def test_named_parameters_are_accepted():
    model = network()
    optimizer = lethe.AMP(model.named_parameters(), lr=0.1, epsilon=0.5, momentum=0.9)
    optimizer.step(closure_for(model, optimizer, torch.randn(16, 6)))
    assert optimizer.param_groups[0]["param_names"][0] == "0.weight"
