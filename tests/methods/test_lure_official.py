"""LURE as published: a plain reference of the code's algorithm, and each of its quirks by itself."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import lethe
from lethe import LURE
from lethe.forget import named
from lethe.methods import LUREConfig


def network():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(96, 12), nn.ReLU(), nn.Linear(12, 3)
    )
    for parameter in model.parameters():  # else biases of batch norm are 0, and all tie
        parameter.data += 0.05 * torch.randn_like(parameter)
    return model


def data(count=1):
    generator = torch.Generator().manual_seed(1)
    return [
        (torch.rand(12, 1, 6, 6, generator=generator), torch.randint(3, (12,), generator=generator))
        for _ in range(count)
    ]


def published_masks(model, batches, fraction):
    """All parameters in one ranking: |w · Σ|gradient||, forgotten up to the k-th smallest, k = int(fraction · N)."""
    model = copy.deepcopy(model).eval()
    names, parameters = zip(*model.named_parameters(), strict=True)
    sums = [torch.zeros_like(p) for p in parameters]
    for x, y in batches:
        gradients = torch.autograd.grad(F.cross_entropy(model(x), y), parameters)
        sums = [total.abs() + g.abs() for total, g in zip(sums, gradients, strict=True)]
    saliency = [(total * p).abs() for total, p in zip(sums, parameters, strict=True)]
    flat = torch.cat([s.flatten() for s in saliency])
    threshold = flat.kthvalue(int(fraction * len(flat))).values
    return {name: s <= threshold for name, s in zip(names, saliency, strict=True)}


def changed(model, before):
    return {name: p.detach() != before[name] for name, p in model.named_parameters()}


def snapshot(model):
    return {name: p.detach().clone() for name, p in model.state_dict().items()}


@pytest.mark.parametrize("fraction", [0.2, 0.5])
@pytest.mark.parametrize("count", [1, 2])
def test_what_is_redrawn_is_what_the_published_algorithm_forgets_among_what_is_named_weight(fraction, count):
    model = network()
    before, masks = snapshot(model), published_masks(model, data(count), fraction)
    LURE(fraction, official=True).forget(model, data(count))
    for name, moved in changed(model, before).items():
        wanted = masks[name] if "weight" in name else torch.zeros_like(moved)
        assert torch.equal(moved, wanted), name
    assert any(masks[name].any() for name in masks if "bias" in name)  # ranked, and not re-drawn


@pytest.mark.parametrize("fraction", [0.2, 0.5])
def test_the_default_forgets_the_least_salient_convolutional_and_linear_weights_alone(fraction):
    model = network()
    before = snapshot(model)
    LURE(fraction, ties="first").forget(model, data())  # else what dead units make tie goes, too
    moved = changed(model, before)
    assert {name for name, mask in moved.items() if mask.any()} <= {"0.weight", "4.weight", "6.weight"}
    frozen = copy.deepcopy(network()).requires_grad_(False)
    for name in ("0.weight", "4.weight", "6.weight"):
        dict(frozen.named_parameters())[name].requires_grad_(True)
    x, y = data()[0]
    frozen.eval()
    chosen = [p for p in frozen.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(F.cross_entropy(frozen(x), y), chosen)
    saliency = torch.cat([(g * w).abs().flatten() for g, w in zip(gradients, chosen, strict=True)])
    redrawn = torch.cat([moved[name].flatten() for name in ("0.weight", "4.weight", "6.weight")])
    assert int(redrawn.sum()) == int(fraction * len(redrawn))
    assert saliency[redrawn].max() <= saliency[~redrawn].min()


def test_the_share_can_be_that_of_each_tensor():
    model = network()
    before = snapshot(model)
    LURE(0.25, count="per-tensor", ties="first").forget(model, data())
    moved = changed(model, before)
    for name in ("0.weight", "4.weight", "6.weight"):
        assert int(moved[name].sum()) == round(0.25 * moved[name].numel())


def test_all_that_ties_goes_so_that_zeros_make_the_share_larger():
    model = network()
    for module in (model[0], model[4], model[6]):
        nn.init.zeros_(module.bias)
    nn.init.zeros_(model[6].weight)  # 36 weights and 21 biases of saliency 0
    before = snapshot(model)
    report = LURE(0.01, official=True).forget(model, data())
    assert changed(model, before)["6.weight"].all()
    assert report.count >= 36 > int(0.01 * report.of)


def test_batch_norms_weights_are_redrawn_from_minus_1_to_1_and_nothing_else_of_it_moves():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 400, 3), nn.BatchNorm2d(400), nn.Flatten(), nn.Linear(6400, 3))
    before = snapshot(model)
    LURE(1.0, official=True, generator=torch.Generator().manual_seed(2)).forget(model, data())
    gamma = model[1].weight.detach()
    assert gamma.abs().max() <= 1
    assert gamma.min() < -0.9
    assert gamma.max() > 0.9
    assert 0.4 < float((gamma < 0).float().mean()) < 0.6  # half of them turned round
    assert model[0].weight.abs().max() <= 1 / 3 + 1e-6  # 1/√fan_in of torch's own initialiser
    for name in ("0.bias", "1.bias", "1.running_mean", "1.running_var", "3.bias"):
        assert torch.equal(model.state_dict()[name], before[name]), name


def test_momentum_is_kept_where_the_default_clears_it():
    for official in (True, False):
        model = network()
        optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9)
        model(data()[0][0]).square().sum().backward()
        optimizer.step()
        before = snapshot(model)
        kept = {p: s["momentum_buffer"].clone() for p, s in optimizer.state.items()}
        LURE(0.3, official=official).forget(model, data(), optimizer=optimizer)
        moved = changed(model, before)
        for name, parameter in model.named_parameters():
            now = optimizer.state[parameter]["momentum_buffer"]
            wanted = kept[parameter] if official else kept[parameter].masked_fill(moved[name], 0)
            assert torch.equal(now, wanted)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LURE(official=True, select=named("0.weight")), "leave select, ties and count out"),
        (lambda: LURE(official=True, ties="first"), "leave select, ties and count out"),
        (lambda: LURE(official=True, count="per-tensor"), "leave select, ties and count out"),
        (lambda: LURE(ties="none"), "unknown ties"),
        (lambda: LURE(count="each"), "unknown count"),
        (lambda: LUREConfig(count="each"), "unknown count"),
        (lambda: LUREConfig(official=True, count="per-tensor"), "leave snip_images"),
        (lambda: LUREConfig(official=True, snip_images=7), "leave snip_images"),
        (lambda: LUREConfig(official=True, ties="first"), "leave snip_images"),
        (lambda: LUREConfig(official=True, snip_on="replayed"), "leave snip_images"),
        (lambda: LUREConfig(snip_on="old"), "unknown snip_on"),
        (lambda: LUREConfig(keep=0.7, fraction=0.3), "leave one out"),
        (lambda: LUREConfig(keep=1.2), "keep must lie in"),
    ],
)
def test_what_contradicts_itself_is_refused(make, message):
    with pytest.raises(lethe.LetheError, match=message):
        make()


def test_the_share_can_be_said_from_either_side():
    assert LUREConfig(keep=0.75).share == LUREConfig(fraction=0.25).share == 0.25
    assert LUREConfig().share == 0.2
