"""Batch statistics measured anew, in a pass of their own."""

import pytest
import torch
from torch import nn

from lethe.consolidate import recompute_statistics

IMAGES = [torch.tensor([[1.0, 2.0], [3.0, 6.0]]), torch.tensor([[5.0, 0.0], [7.0, 0.0]])]


def network():
    model = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout()).eval()
    model[0].running_mean.fill_(100.0)
    return model


def statistics(norm):
    return norm.running_mean.tolist(), norm.running_var.tolist(), int(norm.num_batches_tracked)


@pytest.mark.parametrize("images", [IMAGES, [(x, torch.zeros(2)) for x in IMAGES]])
def test_they_are_the_even_average_over_the_batches(images):
    model = network()
    recompute_statistics(model, images)
    mean, variance, batches = statistics(model[0])
    assert (mean, variance, batches) == (pytest.approx([4.0, 2.0]), pytest.approx([2.0, 4.0]), 2)


def test_each_modules_mode_stays():
    model = nn.Sequential(network(), network(), nn.Dropout())
    model[0].train()
    model[1][0].momentum = 0.3
    before = [module.training for module in model.modules()]
    recompute_statistics(model, IMAGES)
    assert [module.training for module in model.modules()] == before
    assert (model[0][0].momentum, model[1][0].momentum) == (0.1, 0.3)


def test_dropout_is_off_as_it_is_when_the_network_is_asked():
    model = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(2)).train()
    recompute_statistics(model, IMAGES)
    assert model[1].running_mean.tolist() == pytest.approx([4.0, 2.0])
    assert model[0].training


def test_norms_may_be_left_alone():
    model = nn.Sequential(network(), network())
    before = statistics(model[1][0])
    recompute_statistics(model, IMAGES, leave=[model[1][0]])
    assert statistics(model[1][0]) == before
    assert statistics(model[0][0])[2] == 2


def test_without_a_batch_nothing_changes():
    model, once = network(), iter(IMAGES)
    recompute_statistics(model, once)
    before = statistics(model[0])
    with pytest.raises(ValueError, match="there is no batch to measure on"):
        recompute_statistics(model, once)
    assert statistics(model[0]) == before


def test_after_an_error_in_a_pass_statistics_and_modes_are_as_they_were():
    model = network()
    before = statistics(model[0])
    with pytest.raises(RuntimeError):
        recompute_statistics(model, [IMAGES[0], torch.zeros(2, 3)])
    assert statistics(model[0]) == before
    assert not any(module.training for module in model.modules())
    assert model[0].momentum == 0.1
