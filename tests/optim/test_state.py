"""Every rule: the whole state is the base optimizer's, and goes on to the bit after saving, copying, adding."""

import copy
import io
import pickle

import pytest
import torch
from torch import nn
from two_pass_trials import closure_for, every_rule, network, same


@every_rule
@pytest.mark.parametrize("base", [torch.optim.SGD, torch.optim.AdamW])
@pytest.mark.parametrize("stop", [1, 10])
def test_a_saved_optimizer_goes_on_to_the_bit(rule, base, stop):
    options = {"base_optimizer": base, "lr": 0.05} | ({"momentum": 0.9} if base is torch.optim.SGD else {})
    batches = torch.randn(20, 16, 6)
    model = network()
    optimizer = rule.build(model.parameters(), **options)
    file = io.BytesIO()
    for step, x in enumerate(batches):
        if step == stop:
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
            torch.save(state | {"generator": torch.get_rng_state()}, file)
        optimizer.step(closure_for(model, optimizer, x))
    file.seek(0)
    state = torch.load(file, weights_only=True)
    again = network()
    resumed = rule.build(again.parameters(), **options)
    again.load_state_dict(state["model"])
    resumed.load_state_dict(state["optimizer"])
    torch.set_rng_state(state["generator"])  # RMP draws from it
    for x in batches[stop:]:
        resumed.step(closure_for(again, resumed, x))
    assert same(model, again)


@every_rule
def test_the_state_dict_holds_the_base_optimizers_state_and_nothing_else(rule):
    model = network()
    optimizer = rule.build(model.parameters(), lr=0.05, momentum=0.9)
    optimizer.step(closure_for(model, optimizer, torch.randn(16, 6)))
    entries = optimizer.state_dict()["state"]
    assert len(entries) == len(list(model.parameters()))
    assert all(set(entry) == {"momentum_buffer"} for entry in entries.values())


@every_rule
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))], ids=["deepcopy", "pickle"])
def test_a_copied_optimizer_works(rule, copied):
    model = network()
    x = torch.randn(16, 6)
    optimizer = rule.build(model.parameters(), lr=0.05, momentum=0.9)
    optimizer.step(closure_for(model, optimizer, x))
    twin_model, twin = copied((model, optimizer))
    assert twin.param_groups is twin.base_optimizer.param_groups
    for m, o in ((model, optimizer), (twin_model, twin)):
        torch.manual_seed(5)
        o.step(closure_for(m, o, x))
    assert same(model, twin_model)
    assert not same(model, network())


@every_rule
def test_schedulers_reach_the_base_optimizer_also_after_loading(rule):
    model = network()
    optimizer = rule.build(model.parameters(), lr=0.5, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.1)
    optimizer.load_state_dict(optimizer.state_dict())
    optimizer.step(closure_for(model, optimizer, torch.randn(16, 6)))
    scheduler.step()
    assert optimizer.param_groups is optimizer.base_optimizer.param_groups
    assert optimizer.base_optimizer.param_groups[0]["lr"] == pytest.approx(0.05)


@every_rule
def test_a_group_added_later_takes_the_defaults_and_is_trained(rule):
    model, late = network(), nn.Parameter(torch.ones(3))
    optimizer = rule.build(model.parameters(), lr=0.1, momentum=0.9)
    optimizer.add_param_group({"params": [late], "lr": 0.5})
    first, second = optimizer.param_groups
    assert {k: v for k, v in first.items() if k != "params"} | {"lr": 0.5} == {
        k: v for k, v in second.items() if k != "params"
    }

    def closure():
        optimizer.zero_grad()
        (model(torch.ones(4, 6)) * late).square().sum().backward()

    optimizer.step(closure)
    assert not torch.equal(late.detach(), torch.ones(3))


@every_rule
def test_named_parameters_are_accepted(rule):
    model = network()
    optimizer = rule.build(model.named_parameters(), lr=0.1, momentum=0.9)
    optimizer.step(closure_for(model, optimizer, torch.randn(16, 6)))
    assert optimizer.param_groups[0]["param_names"][0] == "0.weight"


@every_rule
def test_a_state_of_the_base_optimizer_alone_can_be_loaded(rule):
    model = network()
    plain = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
    optimizer = rule.build(model.parameters(), lr=0.1, momentum=0.9)
    options = {k: v for k, v in optimizer.param_groups[0].items() if k not in ("params", "lr")}
    optimizer.load_state_dict(plain.state_dict())
    group = optimizer.param_groups[0]
    assert {k: v for k, v in group.items() if k not in ("params", "lr")} == options
    assert group["lr"] == 0.3
    optimizer.step(closure_for(model, optimizer, torch.randn(16, 6)))


@every_rule
def test_a_state_that_is_loaded_into_the_base_optimizer_is_shared_too(rule):
    model = network()
    optimizer = rule.build(model.parameters(), lr=0.1, momentum=0.9)
    optimizer.step(closure_for(model, optimizer, torch.randn(16, 6)))
    for mine in (optimizer, copy.deepcopy(optimizer)):
        mine.base_optimizer.load_state_dict(torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9).state_dict())
        assert mine.param_groups is mine.base_optimizer.param_groups
        assert mine.state is mine.base_optimizer.state
        torch.optim.lr_scheduler.StepLR(mine, 1, 0.5)
        assert mine.base_optimizer.param_groups[0]["lr"] == 0.2
        assert set(mine._rule_defaults) <= set(mine.param_groups[0])
