"""SAM, ASAM, AWP and RWP against plain references, written from their algorithms one tensor at a time."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import lethe

SGD = {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-2}


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Tanh(), nn.Flatten(), nn.Linear(48, 4)).double()


def batch(seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(12, 1, 6, 6, dtype=torch.float64, generator=generator)
    return x, torch.randint(4, (12,), generator=generator)


def gradients(model, loss):
    return [g.clone() for g in torch.autograd.grad(loss, list(model.parameters()))]


def length(tensors):
    return sum(float((t * t).sum()) for t in tensors) ** 0.5


def sgd(weights, grads, velocity, decay_at):
    for i, w in enumerate(weights):
        g = grads[i] + SGD["weight_decay"] * decay_at[i]
        velocity[i] = g if velocity[i] is None else SGD["momentum"] * velocity[i] + g
        w.data.sub_(SGD["lr"] * velocity[i])


def sam(model, x, y, velocity, rho, adaptive):
    weights = list(model.parameters())
    start = [w.detach().clone() for w in weights]
    g = gradients(model, F.cross_entropy(model(x), y))
    size = length([w.abs() * d for w, d in zip(start, g, strict=True)] if adaptive else g)
    for w, s, d in zip(weights, start, g, strict=True):
        w.data.add_((s**2 if adaptive else 1.0) * d * (rho / size))
    g = gradients(model, F.cross_entropy(model(x), y))
    for w, s in zip(weights, start, strict=True):
        w.data.copy_(s)
    sgd(weights, g, velocity, start)


def awp(model, x, y, velocity, gamma, at_perturbed):
    weights = list(model.parameters())
    start = [w.detach().clone() for w in weights]
    g = gradients(model, F.cross_entropy(model(x), y))
    for w, d in zip(weights, g, strict=True):
        if w.ndim > 1:
            w.data.add_(gamma * length([w.detach()]) / length([d]) * d)
    perturbed = [w.detach().clone() for w in weights]
    g = gradients(model, F.cross_entropy(model(x), y))
    for w, s in zip(weights, start, strict=True):
        w.data.copy_(s)
    sgd(weights, g, velocity, perturbed if at_perturbed else start)


def rwp(model, x, y, velocity, gamma, threshold, at_perturbed, inner_iter):
    weights = list(model.parameters())
    start = [w.detach().clone() for w in weights]
    wide = [i for i, w in enumerate(weights) if w.ndim > 1]
    total = {i: torch.zeros_like(start[i]) for i in wide}
    for _ in range(inner_iter):
        losses = F.cross_entropy(model(x), y, reduction="none")
        g = gradients(model, (losses * (losses < threshold)).mean())
        for i in wide:
            total[i] += 0.01 * g[i]  # the learning rate of the code's proxy, which cancels
        size = length(total.values())
        factor = length([start[i] for i in wide]) / size if size else 0.0
        for i in wide:
            weights[i].data.copy_(start[i] + gamma * factor * total[i])
    perturbed = [w.detach().clone() for w in weights]
    g = gradients(model, F.cross_entropy(model(x), y))
    for w, s in zip(weights, start, strict=True):
        w.data.copy_(s)
    sgd(weights, g, velocity, perturbed if at_perturbed else start)


def compare(optimizer_for, reference, ascent_threshold=None):
    mine, theirs = network(), network()
    optimizer = optimizer_for(mine.parameters())
    velocity = [None for _ in theirs.parameters()]
    for step in range(6):
        x, y = batch(step)

        def closure(x=x, y=y):
            optimizer.zero_grad()
            F.cross_entropy(mine(x), y).backward()

        def ascent_closure(x=x, y=y):
            optimizer.zero_grad()
            losses = F.cross_entropy(mine(x), y, reduction="none")
            (losses * (losses < ascent_threshold)).mean().backward()

        optimizer.step(closure, *([] if ascent_threshold is None else [ascent_closure]))
        reference(theirs, x, y, velocity)
    for a, b, c in zip(mine.parameters(), theirs.parameters(), network().parameters(), strict=True):
        assert (a - b).abs().max() < 1e-10
        assert not torch.equal(a, c)


@pytest.mark.parametrize(("rho", "adaptive"), [(0.05, False), (0.5, True)])
def test_sam_and_asam(rho, adaptive):
    compare(
        lambda p: lethe.SAM(p, torch.optim.SGD, rho, adaptive, **SGD),
        lambda model, x, y, v: sam(model, x, y, v, rho, adaptive),
    )


@pytest.mark.parametrize("step_at", ["restored", "perturbed"])
def test_awp(step_at):
    compare(
        lambda p: lethe.AWP(p, gamma=0.05, step_at=step_at, **SGD),
        lambda model, x, y, v: awp(model, x, y, v, 0.05, step_at == "perturbed"),
    )


@pytest.mark.parametrize("step_at", ["restored", "perturbed"])
@pytest.mark.parametrize("inner_iter", [1, 10])
def test_rwp(step_at, inner_iter):
    compare(
        lambda p: lethe.RWP(p, gamma=0.05, inner_iter=inner_iter, step_at=step_at, **SGD),
        lambda model, x, y, v: rwp(model, x, y, v, 0.05, 1.4, step_at == "perturbed", inner_iter),
        ascent_threshold=1.4,
    )


def test_rwp_perturbs_nothing_where_no_sample_is_under_the_threshold():
    model, plain = network(), network()
    x, y = batch(0)
    optimizer, base = lethe.RWP(model.parameters(), gamma=0.5, **SGD), torch.optim.SGD(plain.parameters(), **SGD)

    def closure(m, o):
        o.zero_grad()
        loss = F.cross_entropy(m(x), y)
        loss.backward()
        return loss

    def ascent_closure():
        optimizer.zero_grad()
        (F.cross_entropy(model(x), y, reduction="none") * 0.0).mean().backward()

    returned = optimizer.step(lambda: closure(model, optimizer), ascent_closure)
    expected = base.step(lambda: closure(plain, base))
    assert torch.equal(returned, expected)  # what the closure's only call returned
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), plain.parameters(), strict=True))


def test_awp_leaves_biases_and_normalisation_where_they_are():
    model = network()
    optimizer = lethe.AWP(model.parameters(), gamma=0.1, lr=0.0)
    seen = []

    def closure():
        optimizer.zero_grad()
        seen.append({name: p.detach().clone() for name, p in model.named_parameters()})
        F.cross_entropy(model(batch(0)[0]), batch(0)[1]).backward()

    optimizer.step(closure)
    for name, before in seen[0].items():
        moved = float((seen[1][name] - before).norm())
        assert moved == pytest.approx(0.1 * float(before.norm()) if before.ndim > 1 else 0.0)


def test_rmp_draws_within_its_bound_and_from_its_generator():
    model = nn.Linear(100, 100)
    start, seen = copy.deepcopy(model), []
    optimizer = lethe.RMP(model.parameters(), epsilon=0.1, lr=0.0, generator=torch.Generator().manual_seed(0))

    def closure():
        optimizer.zero_grad()
        seen.append((model.weight - start.weight).detach())
        model(torch.ones(1, 100)).sum().backward()

    optimizer.step(closure)
    optimizer.step(closure)
    bound = (0.1 / 10_000) ** 0.5
    for delta in seen:
        assert delta.abs().max() <= bound * 1.001
        assert delta.std().item() == pytest.approx(bound / 3**0.5, rel=0.03)
    assert not torch.equal(*seen)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda p: lethe.SAM(p, rho=-1.0, lr=0.1), "rho must be"),
        (lambda p: lethe.AWP(p, gamma=-1.0, lr=0.1), "gamma must be"),
        (lambda p: lethe.AWP(p, lr=0.1, step_at="here"), "unknown step_at"),
        (lambda p: lethe.RWP(p, inner_iter=0, lr=0.1), "inner_iter must be at least 1"),
        (lambda p: lethe.RMP(p, epsilon=float("nan"), lr=0.1), "epsilon must be"),
    ],
)
def test_a_bad_option_is_an_error(build, message):
    with pytest.raises(ValueError, match=message):
        build(nn.Linear(2, 2).parameters())
