"""The smallest weights, and those with the least Fisher information, by hand."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lethe import forget


def two_layers():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


def test_the_smallest_weights_of_all_layers_together():
    model = two_layers()
    with torch.no_grad():
        model[0].weight.copy_(torch.arange(1, 13).view(4, 3) * torch.tensor([1.0, -1.0, 1.0]))
        model[2].weight.copy_(torch.tensor([[0.5, -0.1, 30.0, 2.5], [40.0, 0.0, -50.0, 60.0]]))
    masks = forget.magnitude_mask(model, 0.25)  # 5 of 20: 0, 0.1, 0.5, 1, 2
    assert masks["0.weight"].nonzero().tolist() == [[0, 0], [0, 1]]
    assert masks["2.weight"].nonzero().tolist() == [[0, 0], [0, 1], [1, 1]]


def test_another_selection_is_ranked_by_itself():
    masks = forget.magnitude_mask(two_layers(), 0.5, select=forget.named("2.weight"))
    assert {name: int(mask.sum()) for name, mask in masks.items()} == {"2.weight": 4}


def test_fisher_information_is_the_sum_of_squared_gradients_of_single_images():
    model = two_layers()
    x, y = torch.randn(10, 3), torch.randint(2, (10,))
    scores = {name: torch.zeros_like(p) for name, p in model.named_parameters() if "weight" in name}
    for image, label in zip(x, y, strict=True):
        model.zero_grad()
        F.cross_entropy(model(image[None]), label[None]).backward()
        for name in scores:
            scores[name] += model.get_parameter(name).grad ** 2
    model.zero_grad()
    ranked = torch.cat([s.flatten() for s in scores.values()]).sort().values
    masks = forget.fisher_mask(model, [(x[:6], y[:6]), (x[6:], y[6:])], 0.3)
    for name, score in scores.items():
        assert torch.equal(masks[name], score <= ranked[5])
    assert all(p.grad is None for p in model.parameters())
    assert model.training


@pytest.mark.parametrize("fraction", [-0.1, 1.1])
def test_a_fraction_outside_0_and_1_is_an_error(fraction):
    with pytest.raises(ValueError, match="fraction must lie in"):
        forget.magnitude_mask(two_layers(), fraction)
    with pytest.raises(ValueError, match="fraction must lie in"):
        forget.fisher_mask(two_layers(), [], fraction)


def test_weights_that_are_not_finite_are_an_error():
    model = two_layers()
    with torch.no_grad():
        model[0].weight[0, 0] = float("nan")
    with pytest.raises(ValueError, match="not finite"):
        forget.magnitude_mask(model, 0.5)
