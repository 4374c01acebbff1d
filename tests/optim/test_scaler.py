"""Every rule with a GradScaler: overflows, scales, and what is refused."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from two_pass_trials import every_rule

import lethe
from lethe.optim import RULES


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.Tanh(), nn.Linear(16, 3))


def data(step):
    generator = torch.Generator().manual_seed(step)
    return torch.randn(32, 6, generator=generator), torch.randint(3, (32,), generator=generator)


def train(rule, *, steps=10, scaler=None, spoil=None, **options):
    """Train and return the network and its states; ``spoil`` is the (step, pass) whose loss overflows."""
    model = network()
    optimizer = rule.build(model.parameters(), lr=0.05, momentum=0.9, **options)
    history = []
    torch.manual_seed(1)
    for step in range(steps):
        x, y = data(step)
        calls = []

        def closure(x=x, y=y, calls=calls, step=step):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            if (step, len(calls)) == spoil:
                loss = loss * float("inf")
            (loss if scaler is None else scaler.scale(loss)).backward()
            calls.append(1)
            return loss

        if scaler is None:
            optimizer.step(closure)
        else:
            optimizer.step(closure, grad_scaler=scaler)
            scaler.update()
        history.append(copy.deepcopy((model.state_dict(), optimizer.state_dict()["state"])))
    return model, history


def distance(a, b):
    start = network()
    far = sum(float((x - y).detach().square().sum()) for x, y in zip(a.parameters(), b.parameters(), strict=True))
    way = sum(float((x - y).detach().square().sum()) for x, y in zip(b.parameters(), start.parameters(), strict=True))
    return (far / way) ** 0.5


@every_rule
def test_the_scale_does_not_matter(rule):
    ends = [train(rule, scaler=torch.amp.GradScaler("cpu", init_scale=2.0**k))[0] for k in (0, 12)]
    assert distance(*ends) < 1e-5


@every_rule
def test_an_overflow_in_any_pass_skips_the_step_and_leaves_everything(rule):
    for number in range(rule.passes):
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
        _, history = train(rule, steps=4, scaler=scaler, spoil=(2, number))
        (before, momentum_before), (after, momentum_after) = history[1], history[2]
        weights = [name for name, _ in network().named_parameters()]
        assert all(torch.equal(before[name], after[name]) for name in weights)
        for index, entry in momentum_before.items():
            assert torch.equal(entry["momentum_buffer"], momentum_after[index]["momentum_buffer"])
        assert scaler.get_scale() == 512.0  # the scaler has seen it
        assert not torch.equal(after["0.weight"], history[3][0]["0.weight"])  # and training goes on


def test_a_disabled_scaler_changes_nothing():
    rule = RULES["AMP"]
    plain, _ = train(rule)
    scaled, _ = train(rule, scaler=torch.amp.GradScaler("cpu", enabled=False))
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), scaled.parameters(), strict=True))


def test_a_step_at_the_perturbed_weights_refuses_a_scaler():
    layer = nn.Linear(2, 2)
    optimizer = lethe.AWP(layer.parameters(), lr=0.1, step_at="perturbed")
    with pytest.raises(ValueError, match="cannot be right with a GradScaler"):
        optimizer.step(lambda: None, grad_scaler=torch.amp.GradScaler("cpu"))


def test_statistics_of_every_pass_refuse_a_scaler():
    model = network()
    optimizer = lethe.AMP(model.parameters(), lr=0.1, epsilon=0.1, batch_statistics="every")
    with pytest.raises(ValueError, match="'every' cannot be right with a GradScaler"):
        optimizer.step(lambda: None, grad_scaler=torch.amp.GradScaler("cpu"))


@every_rule
@pytest.mark.parametrize("clip_ascent", [False, True])
def test_clipping_comes_after_unscaling(rule, clip_ascent):
    clip = {"clip_norm": 0.05, "clip_ascent": clip_ascent}
    plain, _ = train(rule, **clip)
    scaled, _ = train(rule, scaler=torch.amp.GradScaler("cpu", init_scale=2.0**12), **clip)
    unclipped, _ = train(rule)
    assert distance(scaled, plain) < 1e-5
    assert distance(unclipped, plain) > 0.1  # the bound is one that matters


@every_rule
def test_an_overflow_under_clipping_skips_the_step_too(rule):
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    _, history = train(rule, steps=3, scaler=scaler, spoil=(1, 0), clip_norm=0.05, clip_ascent=True)
    weights = [name for name, _ in network().named_parameters()]
    assert all(torch.equal(history[0][0][name], history[1][0][name]) for name in weights)
    assert scaler.get_scale() == 512.0


@every_rule
def test_an_overflow_leaves_other_buffers_too(rule):
    """Spectral norm's estimates, which a pass at weights that are not finite would spoil for good."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(6, 16)), nn.ReLU(), nn.Linear(16, 3))
    optimizer = rule.build(model.parameters(), lr=0.05)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    for step in range(3):
        x, y = data(step)

        def closure(x=x, y=y, step=step):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y) * (float("inf") if step == 0 else 1.0)
            scaler.scale(loss).backward()
            return loss

        loss = optimizer.step(closure, grad_scaler=scaler)
        scaler.update()
    assert loss.isfinite()
    assert all(buffer.isfinite().all() for buffer in model.buffers())
