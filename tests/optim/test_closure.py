"""Every rule: what a closure may do, and what is told to one that does it wrong."""

import copy
from contextlib import nullcontext

import pytest
import torch
from torch import nn
from two_pass_trials import closure_for, every_rule, network, same

import lethe


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
def test_misuse_is_told(rule):
    layer = nn.Linear(2, 2)
    optimizer = rule.build(layer.parameters(), lr=0.1)
    for nothing in ((), (None,)):
        with pytest.raises(TypeError, match=r"needs a closure .* takes optimizer\.base_optimizer"):
            optimizer.step(*nothing)
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


def test_one_name_cannot_be_an_option_of_both_optimizers():
    with pytest.raises(ValueError, match="Adadelta has an option 'rho' of its own"):
        lethe.SAM(network().parameters(), torch.optim.Adadelta, rho=0.05)


@pytest.mark.parametrize("kind", [lethe.AWP, lethe.RWP])
def test_weights_without_a_matrix_are_refused_where_nothing_could_be_perturbed(kind):
    with pytest.raises(ValueError, match="nothing that AWP or RWP could perturb"):
        kind([nn.Parameter(torch.ones(3))], lr=0.1)


@every_rule
def test_a_loss_that_is_maximised_is_refused_wherever_it_is_said(rule):
    model = network()
    with pytest.raises(ValueError, match="minimise the negative"):
        rule.build(model.parameters(), lr=0.1, maximize=True)
    with pytest.raises(ValueError, match="minimise the negative"):
        rule.build([{"params": model.parameters(), "maximize": True}], lr=0.1)
    optimizer = rule.build(model.parameters(), lr=0.1)
    with pytest.raises(ValueError, match="minimise the negative"):
        optimizer.add_param_group({"params": [nn.Parameter(torch.ones(2, 2))], "maximize": True})


@pytest.mark.parametrize("base", [torch.optim.LBFGS, lethe.SAM])
def test_a_base_optimizer_that_needs_a_closure_is_refused(base):
    with pytest.raises(ValueError, match="steps by a closure of its own"):
        lethe.AWP(network().parameters(), base, lr=0.1)


def test_a_share_of_a_pass_is_refused():
    with pytest.raises(ValueError, match="inner_iter must be a whole number"):
        lethe.AMP(network().parameters(), 0.1, 0.5, inner_iter=1.5)
    with pytest.raises(ValueError, match="inner_iter must be a whole number"):
        lethe.RWP(network().parameters(), lr=0.1, inner_iter=2.5)


@every_rule
@pytest.mark.parametrize("inside", [True, False])
def test_an_autocast_around_the_step_sees_the_perturbed_weights_too(rule, inside):
    """Autocast keeps copies of the weights in low precision for as long as it lasts."""
    x = torch.randn(16, 6)

    def step(outer):
        model = network()
        optimizer = rule.build(model.parameters(), lr=0.1)
        losses = []

        def closure():
            with torch.autocast("cpu", torch.bfloat16) if inside or not outer else nullcontext():
                optimizer.zero_grad()
                loss = model(x).float().square().mean()
            loss.backward()
            losses.append(loss.item())

        torch.manual_seed(0)
        with torch.autocast("cpu", torch.bfloat16, enabled=outer):
            optimizer.step(closure)
        return losses

    losses = step(outer=True)
    assert losses == step(outer=False)
    assert len(losses) == rule.passes
    assert losses[1:] != losses[:1] * (rule.passes - 1) or rule.passes == 1
