"""PGD: known optima, the set it may move in, and no trace left behind."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from lethe.attacks import PGD


class Linear(nn.Module):
    """Two logits, (0, w·x): the loss of class 0 rises along w, everywhere."""

    def __init__(self, w):
        super().__init__()
        self.w = nn.Parameter(w)

    def forward(self, x):
        score = x.flatten(1) @ self.w
        return torch.stack([torch.zeros_like(score), score], dim=1)


def convolutional():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(64, 5)
    )


def images(count=4, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, 6, 6, generator=generator), torch.randint(5, (count,), generator=generator)


@pytest.mark.parametrize("random_start", [False, True])
def test_the_linf_optimum_of_a_linear_model(random_start):
    w = torch.tensor([1.0, -2.0, 0.5, -0.1])
    x = torch.tensor([0.5, 0.5, 0.95, 0.02]).view(1, 1, 2, 2)
    attack = PGD(epsilon=0.1, step_size=0.05, steps=10, random_start=random_start)
    found = attack(Linear(w), x, torch.tensor([0]))
    # each pixel goes epsilon along the sign of its weight, as far as [0, 1] reaches
    torch.testing.assert_close(found.flatten(), torch.tensor([0.6, 0.4, 1.0, 0.0]))


@pytest.mark.parametrize("random_start", [False, True])
def test_the_l2_optimum_of_a_linear_model(random_start):
    w = torch.tensor([3.0, 0.0, -4.0, 0.0])
    x = torch.full((1, 1, 2, 2), 0.5)
    attack = PGD(epsilon=0.2, step_size=0.1, steps=60, norm="l2", random_start=random_start)
    found = attack(Linear(w), x, torch.tensor([0]), generator=torch.Generator().manual_seed(0))
    expected = torch.tensor([0.5 + 0.12, 0.5, 0.5 - 0.16, 0.5])  # epsilon along w / |w|
    torch.testing.assert_close(found.flatten(), expected, atol=1e-3, rtol=0)


@settings(deadline=None, max_examples=40)
@given(
    norm=st.sampled_from(["linf", "l2"]),
    epsilon=st.floats(0.0, 2.0),
    step_size=st.floats(0.0, 1.0),
    steps=st.integers(0, 3),
    dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.float64]),
    loss=st.sampled_from(["ce", "margin"]),
    seed=st.integers(0, 1000),
)
def test_the_result_stays_in_the_ball_and_in_the_range(norm, epsilon, step_size, steps, dtype, loss, seed):
    x, y = images(seed=seed)
    x = x.to(dtype)
    epsilon = min(epsilon, 1.0) if norm == "linf" else epsilon
    attack = PGD(epsilon, step_size, steps, norm=norm, loss=loss)
    found = attack(convolutional().to(dtype), x, y, torch.Generator().manual_seed(seed))
    assert found.shape == x.shape
    assert found.dtype == dtype
    assert not found.requires_grad
    assert found.min() >= 0
    assert found.max() <= 1
    delta = (found - x).double().flatten(1)
    longest = delta.abs().max() if norm == "linf" else torch.linalg.vector_norm(delta, dim=1).max()
    slack = {torch.float32: 1e-5, torch.float64: 1e-9, torch.bfloat16: 2e-2}[dtype]
    assert longest <= epsilon * (1 + slack) + slack


@pytest.mark.parametrize("loss", ["ce", "margin"])
def test_more_steps_raise_the_loss(loss):
    model, (x, y) = convolutional().eval(), images(16)
    losses = []
    for steps in (0, 1, 4, 16):
        attack = PGD(epsilon=0.1, step_size=0.02, steps=steps, random_start=False, loss=loss)
        logits = model(attack(model, x, y))
        wrong = logits.scatter(1, y[:, None], -math.inf).amax(1) - logits.gather(1, y[:, None])[:, 0]
        losses.append((nn.functional.cross_entropy(logits, y) if loss == "ce" else wrong.mean()).item())
    assert losses == sorted(losses)
    assert losses[-1] > losses[0]


def test_the_same_generator_gives_the_same_images():
    model, (x, y) = convolutional(), images()
    attack = PGD(steps=2)
    first, second, other = (attack(model, x, y, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_the_linf_start_is_uniform_in_the_ball():
    x, y = torch.full((64, 3, 6, 6), 0.5), torch.zeros(64, dtype=torch.long)
    start = PGD(epsilon=0.1, steps=0)(convolutional(), x, y, torch.Generator().manual_seed(0)) - x
    assert start.abs().max() <= 0.1 + 1e-6
    assert start.std().item() == pytest.approx(0.1 / math.sqrt(3), rel=0.03)


def test_the_l2_start_is_uniform_in_the_ball():
    x, y = torch.full((4000, 3, 1, 1), 0.5), torch.zeros(4000, dtype=torch.long)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3, 2))
    start = PGD(epsilon=0.1, steps=0, norm="l2")(model, x, y, torch.Generator().manual_seed(0)) - x
    radius = start.flatten(1).norm(dim=1)
    # in three dimensions half of a ball's volume lies beyond 0.5^(1/3) of its radius
    assert (radius > 0.1 * 0.5 ** (1 / 3)).float().mean().item() == pytest.approx(0.5, abs=0.04)


def mixed_mode_network():
    model = convolutional().train()
    model[1].eval()  # a frozen batch norm beside an active dropout
    model[5].weight.requires_grad_(False)
    return model


def traces(model):
    return (
        [module.training for module in model.modules()],
        [(p.requires_grad, p.grad) for p in model.parameters()],
        [buffer.clone() for buffer in model.buffers()],
        [p.detach().clone() for p in model.parameters()],
    )


def assert_no_trace(model, before):
    after = traces(model)
    assert after[:2] == before[:2]
    for old, new in zip([*before[2], *before[3]], [*after[2], *after[3]], strict=True):
        assert torch.equal(old, new)


def test_an_attack_leaves_no_trace():
    model, (x, y) = mixed_mode_network(), images()
    before, original = traces(model), x.clone()
    PGD(steps=3)(model, x, y)
    assert_no_trace(model, before)
    assert torch.equal(x, original)


def test_an_attack_that_raises_leaves_no_trace():
    model, (x, y) = mixed_mode_network(), images()
    before = traces(model)
    with pytest.raises((RuntimeError, IndexError)):
        PGD(steps=3)(model, x, y + 5)  # labels that do not exist
    assert_no_trace(model, before)


def test_gradients_that_are_there_are_not_added_to():
    model, (x, y) = convolutional(), images()
    model(x).sum().backward()
    before = [p.grad.clone() for p in model.parameters()]
    PGD(steps=3)(model, x, y)
    assert all(torch.equal(p.grad, b) for p, b in zip(model.parameters(), before, strict=True))


def test_an_attack_works_where_gradients_are_off():
    model, (x, y) = convolutional(), images()
    with torch.no_grad():
        inside = PGD(steps=2, random_start=False)(model, x, y)
    assert torch.equal(inside, PGD(steps=2, random_start=False)(model, x, y))


@pytest.mark.parametrize("steps", [1, 5])
def test_a_step_costs_two_forward_passes(steps):
    model = nn.Sequential(nn.Flatten(), nn.Linear(108, 64, bias=False), nn.ReLU(), nn.Linear(64, 5, bias=False))
    x, y = images(16)
    with FlopCounterMode(display=False) as forward:
        model(x)
    with FlopCounterMode(display=False) as attack:
        PGD(steps=steps)(model, x, y)
    assert attack.get_total_flops() == 2 * steps * forward.get_total_flops()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epsilon": -1 / 255}, "epsilon must be a finite number of at least 0"),
        ({"step_size": float("inf")}, "step_size must be"),
        ({"epsilon": 8}, "for 8 grey levels write 8/255"),
        ({"steps": -1}, "steps must be at least 0"),
        ({"norm": "l1"}, "unknown norm 'l1'"),
        ({"loss": "cw"}, "unknown loss 'cw'"),
    ],
)
def test_a_bad_option_is_an_error(options, message):
    with pytest.raises(ValueError, match=message):
        PGD(**options)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.full((1, 3, 6, 6), 1.5), r"in \[0, 1\], got values from 1.5 to 1.5"),
        (torch.full((1, 3, 6, 6), -0.1), "put the normalisation into the model"),
        (torch.full((1, 3, 6, 6), float("nan")), "got values from nan"),
        (torch.zeros(1, 3, 6, 6, dtype=torch.uint8), "divide by 255"),
    ],
)
def test_images_outside_the_range_are_an_error(x, message):
    with pytest.raises(ValueError, match=message):
        PGD()(convolutional(), x, torch.tensor([0]))


def test_in_half_precision_an_image_without_gradient_stays():
    class Blind(nn.Module):
        def forward(self, x):
            return x.flatten(1)[:, :2] * 0

    x = torch.rand(2, 1, 2, 2).half()
    attack = PGD(epsilon=0.5, step_size=0.1, steps=2, norm="l2", random_start=False)
    assert torch.equal(attack(Blind(), x, torch.tensor([0, 1])), x)
