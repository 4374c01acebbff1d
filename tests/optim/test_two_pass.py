"""Every rule through the same trials: exact weights, whole state, still batch statistics, counted cost."""

import copy
import io
import pickle

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import lethe
from lethe.optim import RULES

every_rule = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)


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


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


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
def test_step_returns_what_the_first_call_returned(rule):
    model = network()
    optimizer = rule.build(model.parameters(), lr=0.1, momentum=0.9)
    inner = closure_for(model, optimizer, torch.randn(16, 6))
    results = []

    def closure():
        results.append(inner())
        return results[-1]

    assert optimizer.step(closure) is results[0]
    assert len(results) == rule.passes


def test_the_first_call_sees_the_unperturbed_weights():
    model = network()
    optimizer = lethe.AMP(model.parameters(), lr=0.1, epsilon=0.5, momentum=0.9)
    x = torch.randn(16, 6)
    expected = model(x)
    outputs, loss = optimizer.step(closure_for(model, optimizer, x))
    assert torch.equal(outputs, expected)
    assert torch.equal(loss, expected.square().mean())


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
def test_batch_statistics_move_once_a_step(rule):
    model, plain = network(), network()
    optimizer = rule.build(model.parameters(), lr=0.0)
    for _ in range(4):
        x = torch.randn(16, 6)
        optimizer.step(closure_for(model, optimizer, x))
        plain(x)
    assert int(model[1].num_batches_tracked) == 4
    if rule is not RULES["RMP"]:  # whose only pass is at perturbed weights
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
    assert same(*models)


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


@every_rule
def test_a_closure_over_micro_batches_gives_the_step_of_the_whole_batch(rule):
    def without_batch_norm():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).double()

    x = torch.randn(16, 6, dtype=torch.float64)
    whole, parts = without_batch_norm(), without_batch_norm()
    for model, count in ((whole, 1), (parts, 4)):
        optimizer = rule.build(model.parameters(), lr=0.1, momentum=0.9)
        torch.manual_seed(7)

        def closure(model=model, count=count, optimizer=optimizer):
            optimizer.zero_grad()
            for part in x.chunk(count):
                (model(part).square().mean() / count).backward()

        for _ in range(3):
            optimizer.step(closure)
    for a, b in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


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
def test_named_parameters_are_accepted(rule):
    model = network()
    optimizer = rule.build(model.named_parameters(), lr=0.1, momentum=0.9)
    optimizer.step(closure_for(model, optimizer, torch.randn(16, 6)))
    assert optimizer.param_groups[0]["param_names"][0] == "0.weight"


@every_rule
def test_misuse_is_told(rule):
    layer = nn.Linear(2, 2)
    optimizer = rule.build(layer.parameters(), lr=0.1)
    with pytest.raises(TypeError, match="needs a closure"):
        optimizer.step(None)
    before = copy.deepcopy(layer)
    with pytest.raises(RuntimeError, match=r"loss\.backward\(\)"):
        optimizer.step(lambda: layer(torch.ones(1, 2)).sum())
    assert same(layer, before)
    with pytest.raises(ValueError, match="has no option 'momentun'"):
        rule.build(layer.parameters(), lr=0.1, momentun=0.9)


@every_rule
def test_gradients_zeroed_outside_the_closure_give_the_same_step(rule):
    x, ends = torch.randn(16, 6), []
    for inside in (True, False):
        model = network()
        optimizer = rule.build(model.parameters(), lr=0.1, momentum=0.9)
        torch.manual_seed(3)

        def closure(model=model, optimizer=optimizer, inside=inside):
            if inside:
                optimizer.zero_grad()
            model(x).square().mean().backward()

        for _ in range(2):
            optimizer.zero_grad()
            optimizer.step(closure)
        ends.append(model)
    assert same(*ends)


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


def test_one_name_cannot_be_an_option_of_both_optimizers():
    with pytest.raises(ValueError, match="Adadelta has an option 'rho' of its own"):
        lethe.SAM(network().parameters(), torch.optim.Adadelta, rho=0.05)


@pytest.mark.parametrize("kind", [lethe.AWP, lethe.RWP])
def test_weights_without_a_matrix_are_refused_where_nothing_could_be_perturbed(kind):
    with pytest.raises(ValueError, match="nothing that AWP or RWP could perturb"):
        kind([nn.Parameter(torch.ones(3))], lr=0.1)


def test_norms_of_half_precision_tensors_do_not_overflow():
    from lethe.optim._shards import norm_of_all, norms

    large = [torch.full((100, 100), 1000.0, dtype=dtype) for dtype in (torch.float16, torch.bfloat16)]
    assert [n.item() for n in norms(large)] == pytest.approx([1e5, 1e5], rel=1e-4)
    assert norm_of_all(large).item() == pytest.approx(2**0.5 * 1e5, rel=1e-4)


def test_instance_norms_statistics_move_once_a_step():
    model = nn.Sequential(nn.Conv1d(1, 2, 1), nn.InstanceNorm1d(2, track_running_stats=True), nn.Flatten())
    optimizer = lethe.SAM(model.parameters(), lr=0.1)
    plain, x = copy.deepcopy(model), torch.randn(4, 1, 8)
    optimizer.step(closure_for(model, optimizer, x))
    plain(x)
    assert torch.equal(model[1].running_mean, plain[1].running_mean)
