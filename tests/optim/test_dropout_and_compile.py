"""Dropout that draws alike in all passes of a step, and compiled networks."""

import pytest
import torch
from torch import nn

import lethe
from lethe.optim import RULES


def masks_of_a_step(dropout):
    torch.manual_seed(0)
    layer, drop, seen = nn.Linear(4, 64), nn.Dropout(0.5), []
    optimizer = lethe.AMP(layer.parameters(), lr=0.1, epsilon=0.1, inner_iter=2, dropout=dropout)

    def closure():
        optimizer.zero_grad()
        outputs = drop(layer(torch.ones(1, 4)))
        seen.append(outputs.detach() == 0)
        outputs.sum().backward()

    optimizer.step(closure)
    optimizer.step(closure)
    return seen


def test_dropout_draws_alike_within_a_step_and_anew_at_the_next():
    first, second, third, next_step = masks_of_a_step("same")[:4]
    assert torch.equal(first, second)
    assert torch.equal(second, third)
    assert not torch.equal(first, next_step)


def test_dropout_draws_anew_in_every_pass_by_default():
    first, second = masks_of_a_step("fresh")[:2]
    assert not torch.equal(first, second)


def test_an_unknown_way_to_drop_is_an_error():
    with pytest.raises(ValueError, match="unknown dropout"):
        lethe.SAM(nn.Linear(2, 2).parameters(), lr=0.1, dropout="alike")


@pytest.mark.parametrize("name", ["AMP", "SAM", "AWP", "RMP"])
@pytest.mark.parametrize("backend", ["aot_eager"])
def test_a_compiled_network_takes_the_same_steps(name, backend):
    ends = []
    for compiled in (False, True):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 3)).double()
        run = torch.compile(model, backend=backend) if compiled else model
        optimizer = RULES[name].build(model.parameters(), lr=0.1, momentum=0.9)
        for _ in range(4):
            x = torch.randn(16, 6, dtype=torch.float64)

            def closure(run=run, optimizer=optimizer, x=x):
                optimizer.zero_grad()
                run(x).square().mean().backward()

            optimizer.step(closure)
        ends.append(model.state_dict())
    for key, value in ends[0].items():
        torch.testing.assert_close(ends[1][key], value, rtol=1e-10, atol=1e-12)
    assert int(ends[1]["1.num_batches_tracked"]) == 4
