"""LURE between two megabatches."""

import pytest
import torch
from torch import nn

from lethe import LURE
from lethe.forget import named, snip_mask


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 20), nn.BatchNorm1d(20), nn.Tanh(), nn.Linear(20, 3))


def data():
    generator = torch.Generator().manual_seed(1)
    return [(torch.randn(32, 6, generator=generator), torch.randint(3, (32,), generator=generator))]


def test_it_redraws_the_least_salient_weights_and_keeps_the_others():
    model = network()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    masks = snip_mask(model, data(), 0.2)
    report = LURE(0.2, generator=torch.Generator().manual_seed(0)).forget(model, data())
    assert report.count == int(0.2 * 180) == sum(int(mask.sum()) for mask in masks.values())
    for name, parameter in model.named_parameters():
        mask = masks.get(name, torch.zeros_like(parameter, dtype=torch.bool))
        assert torch.equal(parameter != before[name], mask)


def test_it_clears_the_momentum_of_what_it_forgot():
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    model(data()[0][0]).square().sum().backward()
    optimizer.step()
    masks = snip_mask(model, data(), 0.3, select=named("3.weight"))
    LURE(0.3, select=named("3.weight")).forget(model, data(), optimizer=optimizer)
    momentum = optimizer.state[model[3].weight]["momentum_buffer"]
    assert torch.equal(momentum == 0, masks["3.weight"])


def test_a_fraction_outside_0_and_1_is_an_error():
    with pytest.raises(ValueError, match="fraction must lie in"):
        LURE(20)
