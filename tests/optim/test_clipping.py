"""Clipping: the last gradient, and by option those of the ascents, against torch's own and by hand."""

import copy

import pytest
import torch
from torch import nn
from two_pass_trials import closure_for, every_rule, network, same

import lethe


@every_rule
@pytest.mark.parametrize("foreach", [None, False])
def test_the_last_gradient_is_clipped_as_by_torch(rule, foreach):
    x, ends = torch.randn(16, 6), []
    for by_option in (True, False):
        model = network()
        options = {"clip_norm": 0.01} if by_option else {}
        optimizer = rule.build(model.parameters(), lr=0.1, foreach=foreach, **options)
        if not by_option:  # torch's own, just before the base step
            step = optimizer.base_optimizer.step

            def clipped(*arguments, model=model, step=step):
                nn.utils.clip_grad_norm_(model.parameters(), 0.01)
                return step(*arguments)

            optimizer.base_optimizer.step = clipped
        torch.manual_seed(0)
        optimizer.step(closure_for(model, optimizer, x))
        ends.append(model)
    for a, b in zip(ends[0].parameters(), ends[1].parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-8)


def test_clipping_in_every_pass_by_hand():
    # L = 3w at every w: the gradient 3 is clipped to 1, moves AMP by 1 (not 3), and the step is 0.1 times 1.
    weight, seen = nn.Parameter(torch.zeros(1, dtype=torch.float64)), []
    optimizer = lethe.AMP([weight], lr=0.1, epsilon=10.0, clip_norm=1.0, clip_ascent=True)

    def closure():
        optimizer.zero_grad()
        seen.append(weight.item())
        (3 * weight).sum().backward()

    optimizer.step(closure)
    assert seen == pytest.approx([0.0, 1.0], abs=1e-5)
    assert weight.item() == pytest.approx(-0.1, abs=1e-6)
    optimizer.step_options = lethe.optim.StepOptions(clip_norm=1.0)
    seen.clear()
    optimizer.step(closure)
    assert seen[1] - seen[0] == pytest.approx(3.0)  # the ascent's is left as it is


@every_rule
def test_a_wide_bound_changes_nothing(rule):
    x, ends = torch.randn(16, 6), []
    for options in ({}, {"clip_norm": 1e6, "clip_ascent": True}):
        model = network()
        optimizer = rule.build(model.parameters(), lr=0.1, momentum=0.9, **options)
        torch.manual_seed(0)
        for _ in range(3):
            optimizer.step(closure_for(model, optimizer, x))
        ends.append(model)
    assert same(*ends)


def test_a_group_without_ascents_is_clipped_too():
    model = network()
    plain = copy.deepcopy(model)
    optimizer = lethe.AMP(model.parameters(), lr=0.1, epsilon=0.1, inner_iter=0, clip_norm=0.01)
    x = torch.randn(16, 6)
    optimizer.step(closure_for(model, optimizer, x))
    base = torch.optim.SGD(plain.parameters(), lr=0.1)
    closure_for(plain, base, x)()
    nn.utils.clip_grad_norm_(plain.parameters(), 0.01)
    base.step()
    for a, b in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clip_norm": 0.0}, "clip_norm must be above 0"),
        ({"clip_norm": float("nan")}, "clip_norm must be above 0"),
        ({"clip_ascent": True}, "clip_ascent needs clip_norm"),
        ({"batch_statistics": "last"}, "unknown batch_statistics 'last'"),
        ({"step_at": "here"}, "unknown step_at 'here'"),
    ],
)
def test_options_of_the_step_out_of_range_are_refused(options, message):
    with pytest.raises(lethe.LetheError, match=message):
        lethe.SAM(network().parameters(), lr=0.1, **options)


def test_a_base_optimizer_that_does_not_know_foreach_is_left_alone():
    model = network()
    optimizer = lethe.SAM(model.parameters(), torch.optim.SparseAdam, lr=0.1, foreach=False)
    assert "foreach" not in optimizer.base_optimizer.defaults
    assert lethe.SAM(model.parameters(), lr=0.1, foreach=False).base_optimizer.defaults["foreach"] is False
