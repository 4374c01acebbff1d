"""What optimizers of all kinds remember of forgotten weights."""

import pytest
import torch
from torch import nn

from lethe import forget

MASK = torch.tensor([[True, False, True], [False, False, True]])


def layer():
    torch.manual_seed(0)
    return nn.Linear(3, 2, bias=False)


def trained(model, optimizer, steps=3):
    for step in range(steps):

        def closure(step=step):
            optimizer.zero_grad()
            loss = (model(torch.full((1, 3), 1.0 + step)) - 5.0).square().sum()
            loss.backward()
            return loss

        optimizer.step(closure)
    return optimizer


def forgotten(model, optimizer, **options):
    forget.reinitialize(model, {"weight": MASK}, optimizer=optimizer, **options)


@pytest.mark.parametrize(
    ("make", "key", "begins"),
    [
        (lambda p: torch.optim.Rprop(p, 0.02), "step_size", 0.02),
        (lambda p: torch.optim.Rprop(p, 0.02), "prev", 0.0),
        (lambda p: torch.optim.Adagrad(p, 0.1, initial_accumulator_value=0.5), "sum", 0.5),
        (lambda p: torch.optim.RMSprop(p, 0.1, momentum=0.9), "square_avg", 0.0),
        (lambda p: torch.optim.NAdam(p, 0.1), "exp_avg", 0.0),
    ],
)
def test_it_begins_again_as_the_optimizer_does(make, key, begins):
    model = layer()
    optimizer = trained(model, make(model.parameters()))
    before = optimizer.state[model.weight][key].clone()
    assert (before != begins).all()
    forgotten(model, optimizer)
    after = optimizer.state[model.weight][key]
    assert after[MASK].tolist() == pytest.approx([begins] * 3)
    assert torch.equal(after[~MASK], before[~MASK])


def test_averaged_weights_take_the_new_values():
    model = layer()
    optimizer = trained(model, torch.optim.ASGD(model.parameters(), 0.01, t0=0))
    before = optimizer.state[model.weight]["ax"].clone()
    forgotten(model, optimizer)
    after = optimizer.state[model.weight]["ax"]
    assert torch.equal(after[MASK], model.weight.detach()[MASK])
    assert torch.equal(after[~MASK], before[~MASK])


def test_the_optimizer_within_another_forgets():
    model = layer()
    Lookahead = pytest.importorskip("timm.optim.lookahead").Lookahead
    optimizer = Lookahead(torch.optim.SGD(model.parameters(), 0.01, momentum=0.9), k=2)
    state = trained(model, optimizer)._base_optimizer.state[model.weight]
    assert state["momentum_buffer"].abs().min() > 0
    forgotten(model, optimizer)
    assert (state["momentum_buffer"][MASK] == 0).all()
    assert (state["momentum_buffer"][~MASK] != 0).all()
    assert torch.equal(state["lookahead_slow_buff"][MASK], model.weight.detach()[MASK])
    assert not torch.equal(state["lookahead_slow_buff"], model.weight.detach())


@pytest.mark.parametrize("keep", [False, True])
def test_lbfgs_forgets_all_it_has_measured_as_none_of_it_is_of_this_network(keep):
    model = layer()
    optimizer = trained(model, torch.optim.LBFGS(model.parameters(), 0.1, max_iter=3))
    assert optimizer.state[model.weight]["old_dirs"]
    forgotten(model, optimizer, state="keep" if keep else "clear")
    assert ("old_dirs" in optimizer.state[model.weight]) is keep
    trained(model, optimizer)  # it goes on


def test_scales_of_rows_and_columns_belong_to_no_single_weight_and_stay():
    model = layer()
    optimizer = trained(model, torch.optim.Adafactor(model.parameters(), 0.1))
    before = {key: value.clone() for key, value in optimizer.state[model.weight].items()}
    assert "row_var" in before
    forgotten(model, optimizer)
    for key, value in before.items():
        assert torch.equal(optimizer.state[model.weight][key], value)
