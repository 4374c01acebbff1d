"""AMP against a plain reference, written from the published algorithm one tensor at a time."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import lethe


def reference_step(model, closure, velocity, *, lr, epsilon, inner_lr, inner_iter, momentum, weight_decay, nesterov):
    """One step of AMP over SGD with momentum, in the order of the official code."""
    weights = list(model.parameters())
    start = [w.detach().clone() for w in weights]
    delta = [torch.zeros_like(w) for w in weights]
    closure()
    for _ in range(inner_iter):
        for i, w in enumerate(weights):
            delta[i] = delta[i] + inner_lr * w.grad
            length = delta[i].norm().item()
            if length > epsilon:
                delta[i] = delta[i] * (epsilon / length)
            w.data.copy_(start[i] + delta[i])
        closure()
    for i, w in enumerate(weights):
        g = w.grad + weight_decay * start[i]
        velocity[i] = g.clone() if velocity[i] is None else momentum * velocity[i] + g
        g = g + momentum * velocity[i] if nesterov else velocity[i]
        w.data.copy_(start[i] - lr * g)


@pytest.mark.parametrize("inner_iter", [1, 2, 3])
@pytest.mark.parametrize("epsilon", [0.02, 0.5])
@pytest.mark.parametrize("nesterov", [False, True])
def test_the_trajectory_is_the_official_one(inner_iter, epsilon, nesterov):
    torch.manual_seed(0)
    mine = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Tanh(), nn.Flatten(), nn.Linear(48, 4)).double()
    theirs = copy.deepcopy(mine)
    options = {"momentum": 0.9, "weight_decay": 1e-2, "nesterov": nesterov}
    amp = {"lr": 0.1, "epsilon": epsilon, "inner_lr": 0.7, "inner_iter": inner_iter}
    optimizer = lethe.AMP(mine.parameters(), **amp, **options)
    velocity = [None for _ in theirs.parameters()]
    for _ in range(6):
        x, y = torch.randn(8, 1, 6, 6, dtype=torch.float64), torch.randint(4, (8,))

        def closure(model, x=x, y=y):
            model.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()

        optimizer.step(lambda closure=closure: closure(mine))
        reference_step(theirs, lambda closure=closure: closure(theirs), velocity, **amp, **options)
    for a, b in zip(mine.parameters(), theirs.parameters(), strict=True):
        assert (a - b).abs().max() < 1e-10


@settings(deadline=None, max_examples=40)
@given(
    epsilon=st.floats(1e-3, 10.0),
    inner_lr=st.floats(0.0, 100.0),
    inner_iter=st.integers(1, 3),
    seed=st.integers(0, 1000),
    ball=st.sampled_from(["tensor", "global", "linf"]),
)
def test_no_perturbation_leaves_its_ball(epsilon, inner_lr, inner_iter, seed, ball):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 2))
    x = torch.randn(7, 5)
    optimizer = lethe.AMP(
        model.parameters(), lr=0.1, epsilon=epsilon, inner_lr=inner_lr, inner_iter=inner_iter, ball=ball
    )
    start = [p.detach().clone() for p in model.parameters()]
    lengths = []

    def closure():
        optimizer.zero_grad()
        order = float("inf") if ball == "linf" else 2
        lengths.append([(p.detach() - s).norm(order) for p, s in zip(model.parameters(), start, strict=True)])
        model(x).square().sum().backward()

    optimizer.step(closure)
    assert len(lengths) == 1 + inner_iter
    for of_pass in lengths:
        radii = [torch.stack(of_pass).norm()] if ball == "global" else of_pass
        assert all(radius <= epsilon * (1 + 1e-5) + 1e-6 for radius in radii)
