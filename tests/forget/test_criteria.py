"""Every criterion through the same trials: a new one is tested by being registered."""

import copy

import pytest
import torch
from torch import nn

from lethe import forget
from lethe.forget import CRITERIA, Wanted


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(96, 16), nn.ReLU(), nn.Linear(16, 3)
    )


def batches():
    generator = torch.Generator().manual_seed(1)
    return [(torch.rand(8, 1, 6, 6, generator=generator), torch.arange(8) % 3) for _ in range(2)]


def masks_of(name, model, fraction=0.2, select=None, granularity="weights", count="overall", seed=0):
    wanted = Wanted(fraction, select, granularity, count, 0.5)
    CRITERIA[name].check(model, wanted)
    return CRITERIA[name].mask(model, batches(), wanted, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", CRITERIA)
@pytest.mark.parametrize("granularity", ["weights", "channels", "layers"])
def test_masks_fit_the_selected_weights_can_be_forgotten_and_leave_no_trace(name, granularity):
    model = network().train()
    model[1].eval()
    before, modes = copy.deepcopy(model.state_dict()), [m.training for m in model]
    select = forget.named("0.weight", "4.weight")
    masks = masks_of(name, model, select=select, granularity=granularity)
    assert list(masks) == ["0.weight", "4.weight"]
    for key, mask in masks.items():
        assert mask.dtype == torch.bool
        assert mask.shape == before[key].shape
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert [m.training for m in model] == modes
    assert all(p.grad is None for p in model.parameters())
    report = forget.reinitialize(model, masks)
    assert report.count == sum(int(m.sum()) for m in masks.values())


@pytest.mark.parametrize("name", [n for n, c in CRITERIA.items() if c.counts])
def test_a_fraction_is_met_to_a_weight_in_all_or_in_each_tensor(name):
    model = network()
    sizes = {n: p.numel() for n, p in model.named_parameters() if n in ("0.weight", "4.weight", "6.weight")}
    for fraction in (0.0, 0.035, 0.5, 1.0):
        masks = masks_of(name, model, fraction, count="per-tensor")
        assert all(abs(int(masks[n].sum()) - fraction * size) <= 1 for n, size in sizes.items())
        masks = masks_of(name, model, fraction, count="overall")
        assert abs(sum(int(m.sum()) for m in masks.values()) - fraction * sum(sizes.values())) <= 1


@pytest.mark.parametrize("name", CRITERIA)
def test_the_same_generator_gives_the_same_masks(name):
    one, two = (masks_of(name, network()) for _ in range(2))
    assert all(torch.equal(one[key], two[key]) for key in one)


@pytest.mark.parametrize("name", [n for n, c in CRITERIA.items() if c.needs_batches])
def test_a_criterion_that_looks_at_data_needs_some(name):
    with pytest.raises(ValueError, match="there is no batch"):
        CRITERIA[name].mask(network(), [], Wanted(0.2, None, "weights", "overall", 0.5), None)
