"""AMP on L(w) = w²/2, whose gradient is w, so that every step can be worked out on paper."""

import pytest
import torch

import lethe

LR = 0.1


def after(steps=1, w=3.0, **options):
    """The weight after so many steps from ``w``."""
    weight = torch.nn.Parameter(torch.tensor([w], dtype=torch.float64))
    optimizer = lethe.AMP([weight], lr=LR, **options)

    def closure():
        optimizer.zero_grad()
        loss = 0.5 * (weight**2).sum()
        loss.backward()
        return loss

    for _ in range(steps):
        optimizer.step(closure)
    return weight.item()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        # gradient 3, cut to 0.5; gradient there 3.5; 3 - 0.1 * 3.5
        ({"epsilon": 0.5}, 2.65),
        # gradient 3, within the ball of 10; gradient at 6 is 6; 3 - 0.1 * 6
        ({"epsilon": 10.0}, 2.4),
        # inner_lr 0.1: ascent to 3.3
        ({"epsilon": 10.0, "inner_lr": 0.1}, 2.67),
        # two ascents, free: 3 -> 6 -> 3 + (3 + 6) = 12
        ({"epsilon": 100.0, "inner_iter": 2}, 1.8),
        # three: 3 + (3 + 6 + 12) = 24
        ({"epsilon": 100.0, "inner_iter": 3}, 0.6),
        # two, bound at each: 3.5 both times
        ({"epsilon": 0.5, "inner_iter": 2}, 2.65),
        # two, bound at the second alone: 3 -> 6, then 9 is cut to 4 -> 7
        ({"epsilon": 4.0, "inner_iter": 2}, 2.3),
        # three, bound from the second on: 7 each time
        ({"epsilon": 4.0, "inner_iter": 3}, 2.3),
        # no ball, no perturbation: plain SGD
        ({"epsilon": 0.0}, 2.7),
        ({"epsilon": 0.5, "inner_iter": 0}, 2.7),
        # weight decay acts on the restored weight: 3.5 + 0.1 * 3
        ({"epsilon": 0.5, "weight_decay": 0.1}, 2.62),
        # Nesterov's first step: gradient + 0.9 * gradient
        ({"epsilon": 0.5, "momentum": 0.9, "nesterov": True}, 3 - 0.1 * (3.5 + 0.9 * 3.5)),
        # Nesterov and weight decay
        ({"epsilon": 0.5, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}, 3 - 0.1 * 1.9 * 3.8),
        # Adam's first step is lr, whatever the size of the gradient
        ({"epsilon": 0.5, "base_optimizer": torch.optim.Adam}, 3 - 0.1 * 3.5 / (3.5 + 1e-8)),
    ],
)
def test_one_step(options, expected):
    assert after(**options) == pytest.approx(expected, abs=1e-12)


def test_two_steps_with_momentum():
    # first: velocity 3.5, w 2.65; second: at 3.15, velocity 0.9 * 3.5 + 3.15 = 6.3, w 2.65 - 0.63
    assert after(2, epsilon=0.5, momentum=0.9) == pytest.approx(2.02, abs=1e-12)


def test_two_steps_with_momentum_nesterov_and_weight_decay():
    # first: g = 3.5 + 0.1*3 = 3.8, v = 3.8, w = 3 - 0.1 (3.8 + 0.9*3.8) = 2.278
    # second: g = 2.778 + 0.2278 = 3.0058, v = 0.9*3.8 + 3.0058 = 6.4258, step g + 0.9 v = 8.78902
    options = {"epsilon": 0.5, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}
    assert after(2, **options) == pytest.approx(2.278 - 0.878902, abs=1e-12)


def test_adams_second_step():
    # gradients 3.5 and 3.4 (weight 2.9, perturbed to 3.4); Adam's own formula with beta 0.9 and 0.999
    m = (0.1 * 3.5 * 0.9 + 0.1 * 3.4) / (1 - 0.9**2)
    v = (0.001 * 3.5**2 * 0.999 + 0.001 * 3.4**2) / (1 - 0.999**2)
    first = 3 - 0.1 * 3.5 / (3.5 + 1e-8)
    expected = first - 0.1 * m / (v**0.5 + 1e-8)
    assert after(2, epsilon=0.5, base_optimizer=torch.optim.Adam) == pytest.approx(expected, abs=1e-8)


def two_tensors(ball):
    a = torch.nn.Parameter(torch.tensor([3.0, 0.0], dtype=torch.float64))
    b = torch.nn.Parameter(torch.tensor([0.0, 4.0], dtype=torch.float64))
    optimizer = lethe.AMP([a, b], lr=LR, epsilon=0.5, ball=ball)

    def closure():
        optimizer.zero_grad()
        (0.5 * (a**2).sum() + 0.5 * (b**2).sum()).backward()

    optimizer.step(closure)
    return a[0].item(), b[1].item()


def test_each_tensor_has_a_ball_of_its_own():
    # each is moved by 0.5, so that the whole perturbation is 0.707 long, as in the official code
    assert two_tensors("tensor") == pytest.approx((3 - 0.35, 4 - 0.45), abs=1e-12)


def test_the_whole_vector_has_one_ball():
    # the gradient (3, 4) is 5 long and cut to 0.5: (0.3, 0.4)
    assert two_tensors("global") == pytest.approx((3 - 0.33, 4 - 0.44), abs=1e-12)


def test_in_the_box_each_entry_is_clamped():
    # both entries are moved by 0.5; after two ascents still, and inner_lr 0.1 does not reach the wall: 3.3 and 4.4
    assert two_tensors("linf") == pytest.approx((3 - 0.35, 4 - 0.45), abs=1e-12)
    assert after(epsilon=0.5, ball="linf", inner_iter=2) == pytest.approx(2.65, abs=1e-12)
    assert after(epsilon=0.5, ball="linf", inner_lr=0.1) == pytest.approx(2.67, abs=1e-12)
    assert after(w=-3.0, epsilon=0.5, ball="linf") == pytest.approx(-2.65, abs=1e-12)


def test_groups_keep_their_own_radius_step_size_and_number_of_steps():
    a, b = (torch.nn.Parameter(torch.tensor([3.0], dtype=torch.float64)) for _ in range(2))
    groups = [{"params": [a], "epsilon": 100.0, "inner_iter": 2}, {"params": [b], "inner_lr": 0.1}]
    optimizer = lethe.AMP(groups, lr=LR, epsilon=10.0)
    passes = []

    def closure():
        optimizer.zero_grad()
        passes.append((a.item(), b.item()))
        (0.5 * a**2 + 0.5 * b**2).sum().backward()

    optimizer.step(closure)
    # b makes one ascent, and waits there while a makes its second
    assert passes == [(3.0, 3.0), (6.0, pytest.approx(3.3)), (12.0, pytest.approx(3.3))]
    assert (a.item(), b.item()) == pytest.approx((1.8, 2.67))
