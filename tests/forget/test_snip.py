"""The SNIP mask against a plain reference of the published algorithm."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lethe import forget


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 3)
    )


def data(count=2):
    generator = torch.Generator().manual_seed(1)
    shape = (12, 1, 6, 6)
    return [
        (torch.rand(shape, generator=generator), torch.randint(3, (12,), generator=generator)) for _ in range(count)
    ]


def reference(model, batches, fraction, wanted):
    """Published: |sum over batches of |gradient| times weight|, one ranking, everything up to the k-th smallest."""
    model = copy.deepcopy(model).eval()
    totals = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
    for x, y in batches:
        model.zero_grad()
        F.cross_entropy(model(x), y).backward()
        for name, p in model.named_parameters():
            totals[name] += p.grad.abs()
    scores = {name: (totals[name] * p.detach()).abs() for name, p in model.named_parameters() if wanted(name)}
    ranked = sorted(float(v) for score in scores.values() for v in score.flatten())
    threshold = ranked[int(fraction * len(ranked)) - 1]
    return {name: score <= threshold for name, score in scores.items()}


@pytest.mark.parametrize("fraction", [0.2, 0.5])
@pytest.mark.parametrize("everything", [False, True])
def test_the_mask_is_the_published_one(fraction, everything):
    model = network()
    select = forget.everything if everything else None
    mine = forget.snip_mask(model, data(), fraction, select=select)
    theirs = reference(model, data(), fraction, lambda name: everything or name in ("0.weight", "4.weight", "6.weight"))
    assert list(mine) == list(theirs)
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)


def test_the_least_salient_are_forgotten_and_the_share_is_met():
    masks = forget.snip_mask(network(), data(), 0.5)
    total, chosen = (sum(int(m.sum()) if f else m.numel() for m in masks.values()) for f in (False, True))
    assert int(0.5 * total) <= chosen  # ties at the threshold may add to it


def test_ties_at_the_threshold_all_go():
    layer = nn.Linear(4, 2, bias=False)
    nn.init.ones_(layer.weight)
    x = torch.tensor([[0.0, 0.0, 0.0, 1.0]])  # three inputs are never lit: their six weights have saliency 0
    masks = forget.snip_mask(layer, [(x, torch.tensor([0]))], 0.25)
    assert masks["weight"].tolist() == [[True, True, True, False]] * 2


def test_shares_0_and_1():
    assert not any(mask.any() for mask in forget.snip_mask(network(), data(), 0.0).values())
    assert all(mask.all() for mask in forget.snip_mask(network(), data(), 1.0).values())


def test_no_trace_is_left():
    model = network()
    model.train()
    model[1].eval()
    before = copy.deepcopy(model.state_dict())
    forget.snip_mask(model, data(), 0.2)
    assert [module.training for module in model] == [True, False, True, True, True, True, True]
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_another_loss():
    def first_logit(logits, y):
        return logits[:, 0].sum()

    masks = forget.snip_mask(network(), data(), 0.3, select=forget.named("6.weight"), loss=first_logit)
    assert masks["6.weight"][1:].all()  # the other logits' weights do not matter to it


@pytest.mark.parametrize("fraction", [-0.1, 1.1])
def test_a_fraction_outside_0_and_1_is_an_error(fraction):
    with pytest.raises(ValueError, match="fraction must lie in"):
        forget.snip_mask(network(), data(), fraction)


def test_no_batch_is_an_error():
    with pytest.raises(ValueError, match="there is no batch"):
        forget.snip_mask(network(), [], 0.2)


def test_a_frozen_network_is_an_error():
    with pytest.raises(ValueError, match="frozen"):
        forget.snip_mask(network().requires_grad_(False), data(), 0.2)


def test_a_saliency_that_is_not_finite_is_an_error():
    x, y = data(1)[0]
    with pytest.raises(ValueError, match="has diverged"):
        forget.snip_mask(network(), [(x * float("nan"), y)], 0.5)
