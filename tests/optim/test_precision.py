"""Every rule under autocast: bf16, and fp16 with a GradScaler, against fp32."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import lethe
from lethe.optim import RULES

every_rule = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.Tanh(), nn.Linear(16, 3))


def data(step):
    generator = torch.Generator().manual_seed(step)
    return torch.randn(32, 6, generator=generator), torch.randint(3, (32,), generator=generator)


def train(rule, dtype, *, steps=10, parts=1, scaler=None, spoil=None):
    """Train and return the network; ``spoil`` is the (step, pass) whose loss overflows."""
    model = network()
    optimizer = rule.build(model.parameters(), lr=0.05, momentum=0.9)
    history = []
    torch.manual_seed(1)
    for step in range(steps):
        x, y = data(step)
        calls = []

        def closure(x=x, y=y, calls=calls, step=step):
            optimizer.zero_grad()
            for part_x, part_y in zip(x.chunk(parts), y.chunk(parts), strict=True):
                with torch.autocast("cpu", dtype=dtype, enabled=dtype is not torch.float32):
                    loss = F.cross_entropy(model(part_x), part_y) / parts
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
@pytest.mark.parametrize("parts", [1, 4])
def test_bf16_autocast_follows_fp32(rule, parts):
    exact, _ = train(rule, torch.float32, parts=parts)
    half, _ = train(rule, torch.bfloat16, parts=parts)
    assert all(p.dtype == torch.float32 for p in half.parameters())
    assert distance(half, exact) < 0.05  # of the way travelled


@every_rule
@pytest.mark.parametrize("parts", [1, 4])
def test_fp16_with_a_scaler_follows_fp32(rule, parts):
    exact, _ = train(rule, torch.float32, parts=parts)
    half, _ = train(rule, torch.float16, parts=parts, scaler=torch.amp.GradScaler("cpu", init_scale=2.0**10))
    assert distance(half, exact) < 0.02


@every_rule
def test_the_scale_does_not_matter(rule):
    ends = [train(rule, torch.float32, scaler=torch.amp.GradScaler("cpu", init_scale=2.0**k))[0] for k in (0, 12)]
    assert distance(*ends) < 1e-5


@every_rule
def test_an_overflow_in_any_pass_skips_the_step_and_leaves_everything(rule):
    for number in range(rule.passes):
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
        _, history = train(rule, torch.float32, steps=4, scaler=scaler, spoil=(2, number))
        (before, momentum_before), (after, momentum_after) = history[1], history[2]
        weights = [name for name, _ in network().named_parameters()]
        assert all(torch.equal(before[name], after[name]) for name in weights)
        for index, entry in momentum_before.items():
            assert torch.equal(entry["momentum_buffer"], momentum_after[index]["momentum_buffer"])
        assert scaler.get_scale() == 512.0  # the scaler has seen it
        assert not torch.equal(after["0.weight"], history[3][0]["0.weight"])  # and training goes on


def test_a_disabled_scaler_changes_nothing():
    rule = RULES["AMP"]
    plain, _ = train(rule, torch.float32)
    scaled, _ = train(rule, torch.float32, scaler=torch.amp.GradScaler("cpu", enabled=False))
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), scaled.parameters(), strict=True))


def test_a_step_at_the_perturbed_weights_refuses_a_scaler():
    layer = nn.Linear(2, 2)
    optimizer = lethe.AWP(layer.parameters(), lr=0.1, step_at="perturbed")
    with pytest.raises(ValueError, match="cannot be right with a GradScaler"):
        optimizer.step(lambda: None, grad_scaler=torch.amp.GradScaler("cpu"))
