"""Carlini and Wagner's l2 attack: the known shortest way, and no trace."""

import pytest
import torch
from torch import nn

import lethe
from lethe.attacks import CarliniWagnerL2


class Plane(nn.Module):
    """Two logits, (0, w·x - b): the nearest point of class 1 is the foot of the perpendicular."""

    def __init__(self, w, b):
        super().__init__()
        self.w, self.b = nn.Parameter(w), b

    def forward(self, x):
        score = x.flatten(1) @ self.w - self.b
        return torch.stack([torch.zeros_like(score), score], dim=1)


def test_the_shortest_way_to_a_plane():
    w = torch.tensor([3.0, 0.0, 4.0, 0.0])
    x = torch.full((2, 1, 2, 2), 0.5)
    x[1] = 0.4
    # Distances (b - w·x) / |w|: (4.5 - 3.5) / 5 and (4.5 - 2.8) / 5
    found = CarliniWagnerL2(steps=300, learning_rate=0.02)(Plane(w, 4.5), x, torch.tensor([0, 0]))
    lengths = (found - x).flatten(1).norm(dim=1)
    assert lengths.tolist() == pytest.approx([0.2, 0.34], rel=0.03)
    assert (Plane(w, 4.5)(found).argmax(1) == 1).all()
    assert found.min() >= 0
    assert found.max() <= 1


def test_confidence_goes_further_and_what_cannot_be_reached_stays():
    w = torch.tensor([1.0, 1.0, 1.0, 1.0])
    x = torch.full((1, 1, 2, 2), 0.5)
    near = CarliniWagnerL2(steps=200, learning_rate=0.02)(Plane(w, 2.2), x, torch.tensor([0]))
    far = CarliniWagnerL2(steps=200, learning_rate=0.02, confidence=0.5)(Plane(w, 2.2), x, torch.tensor([0]))
    assert (near - x).norm().item() == pytest.approx(0.1, rel=0.05)
    assert (far - x).norm().item() == pytest.approx(0.35, rel=0.05)
    nowhere = CarliniWagnerL2(steps=20)(Plane(w, 5.0), x, torch.tensor([0]))  # images reach a score of 4 at most
    assert torch.equal(nowhere, x)


def test_an_image_that_is_wrong_already_stays_where_it_is():
    x = torch.full((1, 1, 2, 2), 0.5)
    found = CarliniWagnerL2(steps=20)(Plane(torch.ones(4), 1.0), x, torch.tensor([0]))
    assert (found - x).norm() < 1e-4


def test_it_leaves_no_trace():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 3)).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    CarliniWagnerL2(steps=3, searches=2)(model, torch.rand(2, 1, 4, 4), torch.tensor([0, 1]))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(module.training for module in model.modules())
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("options", [{"steps": 0}, {"searches": 0}, {"learning_rate": 0.0}, {"initial_c": -1.0}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(lethe.LetheError, match="must be"):
        CarliniWagnerL2(**options)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_finds_its_way_from_black_and_white_pixels_too(dtype):
    x = torch.tensor([0.0, 1.0, 0.0, 1.0], dtype=dtype).view(1, 1, 2, 2)
    model = Plane(torch.tensor([1.0, 1.0, 1.0, 1.0]), 2.25).to(dtype)
    found = CarliniWagnerL2(steps=100, searches=6, learning_rate=0.05)(model, x, torch.tensor([0]))
    assert found.dtype == dtype
    assert model(found).argmax(1).item() == 1
    assert (found - x).float().norm() < 0.3  # the two dark pixels rise by an eighth: 0.18
