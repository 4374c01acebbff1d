"""Normalisation lives inside the network."""

import torch

from lethe.models import Normalize, SmallResNet


def test_each_channel_loses_its_mean_and_is_divided_by_its_deviation():
    layer = Normalize((0.5, 0.25), (0.5, 2.0))
    x = torch.tensor([1.0, 0.75]).view(1, 2, 1, 1).expand(1, 2, 2, 2)
    out = layer(x)
    assert out[0, 0].eq(1.0).all()  # (1 - 0.5) / 0.5
    assert out[0, 1].eq(0.25).all()  # (0.75 - 0.25) / 2


def test_the_network_normalises_what_it_is_given():
    torch.manual_seed(0)
    model = SmallResNet(4, 3, (0.2, 0.5, 0.8), (0.1, 0.2, 0.4)).eval()
    plain = SmallResNet(4, 3, (0.0,) * 3, (1.0,) * 3).eval()
    plain.load_state_dict(model.state_dict())
    plain.normalize = Normalize((0.0,) * 3, (1.0,) * 3)
    x = torch.rand(5, 3, 8, 8)
    by_hand = torch.stack([(x[:, 0] - 0.2) / 0.1, (x[:, 1] - 0.5) / 0.2, (x[:, 2] - 0.8) / 0.4], dim=1)
    assert torch.allclose(model(x), plain(by_hand), atol=1e-6)
    assert not torch.allclose(model(x), plain(x), atol=1e-2)


def test_mean_and_deviation_are_no_parameters_but_part_of_the_state_and_move_with_the_model():
    model = SmallResNet(4, 3, (0.5,), (0.5,))
    assert not any("normalize" in name for name, _ in model.named_parameters())
    other = SmallResNet(4, 3, (0.1,), (0.2,))
    other.load_state_dict(model.state_dict())  # whoever loads a checkpoint gets the normalisation with it
    assert (other.normalize.mean.item(), other.normalize.std.item()) == (0.5, 0.5)
    assert model.to("meta").normalize.mean.device.type == "meta"
