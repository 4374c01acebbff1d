"""The published call, both spellings of epsilon, and errors that help."""

import copy

import pytest
import torch
from torch import nn

import lethe


def weights():
    return nn.Linear(2, 2).parameters()


def test_both_spellings_of_epsilon():
    assert lethe.AMP(weights(), lr=0.1, epsilon=0.25, momentum=0.9).param_groups[0]["epsilon"] == 0.25
    assert lethe.AMP(weights(), lr=0.1, eps=0.25, momentum=0.9).param_groups[0]["epsilon"] == 0.25
    assert lethe.AMP(weights(), 0.1, 0.25).param_groups[0]["epsilon"] == 0.25


def test_a_groups_own_eps_is_its_epsilon_where_the_optimizer_has_eps():
    first, second, third = nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2)
    groups = [{"params": first.parameters()}, {"params": second.parameters(), "eps": 0.125}]
    optimizer = lethe.AMP(groups, lr=0.1, eps=0.25)
    optimizer = copy.deepcopy(optimizer)
    optimizer.add_param_group({"params": third.parameters(), "eps": 0.0625})
    assert [group["epsilon"] for group in optimizer.param_groups] == [0.25, 0.125, 0.0625]
    with pytest.raises(ValueError, match="epsilon must be"):
        optimizer.add_param_group({"params": nn.Linear(2, 2).parameters(), "eps": -1.0})
    adam = lethe.AMP(
        [{"params": first.parameters(), "eps": 1e-4}], lr=0.1, epsilon=0.25, base_optimizer=torch.optim.Adam
    )
    assert (adam.param_groups[0]["epsilon"], adam.param_groups[0]["eps"]) == (0.25, 1e-4)
    both = {"params": second.parameters(), "epsilon": 0.5, "eps": 1e-4}  # as where the optimizer is given both
    group = lethe.AMP([both], lr=0.1, eps=0.25, base_optimizer=torch.optim.Adam).param_groups[0]
    assert (group["epsilon"], group["eps"]) == (0.5, 1e-4)


def test_adams_eps_reaches_adam_where_epsilon_is_given_too():
    group = lethe.AMP(weights(), lr=0.1, epsilon=0.25, base_optimizer=torch.optim.Adam, eps=1e-4).param_groups[0]
    assert (group["epsilon"], group["eps"]) == (0.25, 1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "needs epsilon"),
        ({"epsilon": -0.1}, "epsilon must be a finite number of at least 0, got -0.1"),
        ({"epsilon": float("nan")}, "epsilon must be"),
        ({"epsilon": 0.5, "inner_lr": -1.0}, "inner_lr must be"),
        ({"epsilon": 0.5, "inner_iter": -1}, "inner_iter must be at least 0"),
        ({"epsilon": 0.5, "ball": "tensors"}, "Did you mean 'tensor'"),
        ({"epsilon": 0.5, "batch_statistics": "last"}, "unknown batch_statistics"),
        ({"epsilon": 0.5, "momentun": 0.9}, "SGD has no option 'momentun'"),
        ({"epsilon": 0.5, "eps": 0.5}, "epsilon is given too"),
    ],
)
def test_a_bad_argument_is_one_line(options, message):
    with pytest.raises(ValueError, match=message) as error:
        lethe.AMP(weights(), lr=0.1, **options)
    assert "\n" not in str(error.value)


def test_a_missing_closure_says_what_a_closure_is():
    optimizer = lethe.AMP(weights(), lr=0.1, epsilon=0.5)
    with pytest.raises(TypeError, match="needs a closure"):
        optimizer.step(None)


def test_a_closure_without_backward_says_so():
    layer = nn.Linear(2, 2)
    optimizer = lethe.AMP(layer.parameters(), lr=0.1, epsilon=0.5)
    with pytest.raises(RuntimeError, match=r"loss\.backward\(\)"):
        optimizer.step(lambda: layer(torch.ones(1, 2)).sum())


@pytest.mark.parametrize("rule", [lethe.SAM, lethe.AWP, lethe.RWP])
def test_a_learning_rate_where_the_base_optimizer_belongs_says_so(rule):
    with pytest.raises(ValueError, match=r"base_optimizer must be an optimizer's class, got 0\.1: .* lr=0\.1"):
        rule(weights(), 0.1)
