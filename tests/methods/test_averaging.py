"""Averages of the weights alone, by hand, and resumed to the bit."""

import copy

import pytest
import torch
from torch import nn

import lethe
from lethe.methods import EMA, SWA, SWAConfig


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def images():
    generator = torch.Generator().manual_seed(5)
    return [torch.randn(8, 3, generator=generator) for _ in range(4)]


def move(model, value):
    with torch.no_grad():
        for p in model.parameters():
            p.fill_(value)


def test_the_even_average_is_that_of_the_ends_of_epochs_from_its_start_on():
    model = network()
    swa = SWA(model, start=1)
    for epoch, value in enumerate((100.0, 1.0, 2.0, 6.0)):
        swa.begin_epoch(epoch)
        move(model, value)
        swa.end_step()
        swa.end_epoch(epoch, images)
        if epoch == 0:
            assert swa.stable is None
    assert all((p == 3.0).all() for p in swa.stable.parameters())
    assert not swa.stable.training
    assert not any(p.requires_grad for p in swa.stable.parameters())


def test_batch_statistics_are_those_of_the_averaged_weights_on_the_training_images():
    model = network()
    swa, first = SWA(model, start=0), nn.Linear(3, 4)
    first.load_state_dict(model[0].state_dict())
    swa.end_epoch(0, images)
    hidden = [first(x) for x in images()]
    torch.testing.assert_close(swa.stable[1].running_mean, torch.stack([h.mean(0) for h in hidden]).mean(0).detach())
    torch.testing.assert_close(swa.stable[1].running_var, torch.stack([h.var(0) for h in hidden]).mean(0).detach())
    assert int(model[1].num_batches_tracked) == 0  # the working model's are its own


@pytest.mark.parametrize("make", [lambda m: SWA(m, 1), lambda m: EMA(m, 0.9)], ids=["SWA", "EMA"])
def test_a_loaded_average_goes_on_to_the_bit(make):
    def run(model, method, epochs):
        for epoch in epochs:
            move(model, float(epoch**2))
            method.end_step()
            method.end_epoch(epoch, images)

    whole, parts = network(), network()
    one, two = make(whole), make(parts)
    run(whole, one, range(5))
    run(parts, two, range(3))
    state, again = copy.deepcopy(two.state_dict()), make(network())
    again.load_state_dict(state)
    again.model = parts
    run(parts, again, range(3, 5))
    for a, b in zip(one.stable.state_dict().values(), again.stable.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_neither_adds_to_the_loss_nor_acts_at_the_start_of_an_epoch():
    for method in (SWA(network(), 0), EMA(network(), 0.9)):
        assert method.begin_epoch(3) is None
        assert method.consistency(torch.zeros(1, 3), torch.ones(1, 2)).item() == 0.0


def test_a_start_outside_the_run_is_refused():
    with pytest.raises(lethe.LetheError, match="swa_start must lie in"):
        SWAConfig(swa_start=1.5)
