"""How forgotten weights are drawn anew, and what optimizer and batch norm keep of them."""

import copy
import math

import pytest
import torch
from torch import nn

from lethe import forget


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(96, 5))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def step(model, optimizer, times=3):
    for _ in range(times):
        optimizer.zero_grad()
        model(torch.rand(8, 2, 6, 6)).square().mean().backward()
        optimizer.step()


def half(model, **options):
    return forget.random_mask(model, 0.5, generator=generator(), **options)


def test_zero_and_rewind():
    model = network()
    born = copy.deepcopy(model.state_dict())
    step(model, torch.optim.SGD(model.parameters(), 0.1))
    masks, before = half(model), copy.deepcopy(model.state_dict())
    forget.reinitialize(model, masks, init="rewind", initial=born)
    for name, mask in masks.items():
        assert torch.equal(model.get_parameter(name), torch.where(mask, born[name], before[name]))
    forget.reinitialize(model, masks, init="zero")
    for name, mask in masks.items():
        assert torch.equal(model.get_parameter(name), torch.where(mask, 0.0, before[name]))


def test_kaiming_is_that_of_lures_code():
    class Odd(nn.Linear):
        def reset_parameters(self):
            nn.init.constant_(self.weight, 7.0)

    model = nn.Sequential(Odd(400, 300), nn.BatchNorm1d(3000), nn.Conv2d(8, 64, 3))
    model.bare = nn.Parameter(torch.zeros(1, 1, 500))  # has no initialiser of its own
    forget.reinitialize(
        model, forget.whole_mask(model, select=forget.everything), init="kaiming", generator=generator()
    )
    for values, fan_in in ((model[0].weight, 400), (model[1].weight, 1), (model[2].weight, 72), (model.bare, 500)):
        bound = 1 / math.sqrt(fan_in)
        assert 0.95 * bound < values.abs().max() <= bound
        assert values.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.1)


def test_shrink_and_perturb_by_hand():
    model = network()
    with torch.no_grad():
        model[1].weight.fill_(3.0)
        model[1].running_mean.fill_(2.0)
    before, fresh = copy.deepcopy(model.state_dict()), copy.deepcopy(model)
    forget.reinitialize(fresh, forget.whole_mask(fresh, select=forget.everything), generator=generator(4))
    report = forget.shrink_and_perturb(model, 0.4, 0.1, generator=generator(4))
    for name, value in model.named_parameters():
        torch.testing.assert_close(value, 0.4 * before[name] + 0.1 * fresh.get_parameter(name))
    assert report.count == report.of
    assert (model[1].running_mean == 0).all()
    assert torch.allclose(model[1].weight, torch.tensor(0.4 * 3 + 0.1))


def test_softly_only_where_it_is_masked():
    model = network()
    masks, before = half(model), copy.deepcopy(model.state_dict())
    forget.reinitialize(model, masks, init="zero", shrink=0.25)
    for name, mask in masks.items():
        assert torch.equal(model.get_parameter(name), torch.where(mask, 0.25 * before[name], before[name]))


def test_state_is_kept_where_that_is_asked():
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    step(model, optimizer)
    before = copy.deepcopy(optimizer.state_dict())
    forget.reinitialize(model, half(model), optimizer=optimizer, state="keep")
    assert all(
        torch.equal(entry["momentum_buffer"], before["state"][i]["momentum_buffer"])
        for i, entry in optimizer.state_dict()["state"].items()
    )


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_second_moments_become_the_mean_of_those_that_are_kept(share):
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), 0.01, amsgrad=True)
    step(model, optimizer)
    masks = forget.random_mask(model, share, generator=generator())
    before = copy.deepcopy(optimizer.state_dict()["state"])
    forget.reinitialize(model, masks, optimizer=optimizer, state="mean")
    names = [name for name, _ in model.named_parameters()]
    for name, mask in masks.items():
        old, new = before[names.index(name)], optimizer.state[model.get_parameter(name)]
        assert torch.equal(new["exp_avg"], torch.where(mask, 0.0, old["exp_avg"]))
        for key in ("exp_avg_sq", "max_exp_avg_sq"):
            mean = old[key][~mask].mean() if share < 1 else old[key].mean()
            torch.testing.assert_close(new[key], torch.where(mask, mean, old[key]))
            assert torch.equal(new[key][~mask], old[key][~mask])
        assert new["step"] == old["step"] == 3


def test_with_even_second_moments_adams_first_updates_are_no_longer_than_its_learning_rate():
    longest = {}
    for state in ("clear", "mean"):
        torch.manual_seed(0)
        layer = nn.Linear(50, 40, bias=False)
        optimizer = torch.optim.Adam(layer.parameters(), 0.01)

        def one_step(layer=layer, optimizer=optimizer):
            layer.weight.grad = torch.randn_like(layer.weight)
            optimizer.step()

        for _ in range(2000):
            one_step()
        mask = forget.random_mask(layer, 0.3, generator=generator())
        forget.reinitialize(layer, mask, optimizer=optimizer, state=state)
        before = layer.weight.detach().clone()
        one_step()
        moved = (layer.weight.detach() - before)[mask["weight"]].abs()
        longest[state] = moved.median().item() / 0.01
    assert longest["clear"] > 2.5  # 0.1 / sqrt(0.001) = 3.16, of whatever gradient
    assert longest["mean"] < 0.2


def test_statistics_of_channels_that_are_forgotten_whole_are_reset_where_that_is_asked():
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.BatchNorm2d(4))

    def fill():
        for norm in (model[1], model[4]):
            norm.running_mean.fill_(2.0)
            norm.running_var.fill_(3.0)
            norm.num_batches_tracked.fill_(9)

    fill()
    some = torch.zeros(4, 2, 3, 3, dtype=torch.bool)
    some[1], some[2, 0] = True, True  # channel 1 whole, channel 2 in part
    forget.reinitialize(model, {"0.weight": some})
    assert (model[1].running_mean == 2).all()  # by default they are left
    forget.reinitialize(model, {"0.weight": some}, statistics="reset")
    assert model[1].running_mean.tolist() == [2.0, 0.0, 2.0, 2.0]
    assert model[1].running_var.tolist() == [3.0, 1.0, 3.0, 3.0]
    assert (model[4].running_mean == 2).all()
    assert int(model[1].num_batches_tracked) == 9
    fill()
    forget.reinitialize(model, forget.whole_mask(model, select=forget.named("2.weight")), statistics="reset")
    assert (model[4].running_mean == 0).all()
    assert int(model[4].num_batches_tracked) == 0
    assert (model[1].running_mean == 2).all()
    fill()
    own = {"4.bias": torch.tensor([False, False, True, False])}
    forget.reinitialize(model, own, statistics="reset")
    assert model[4].running_mean.tolist() == [2.0, 2.0, 0.0, 2.0]


def test_statistics_of_a_norm_that_is_not_the_next_one_after_the_layer_are_left():
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
    )
    for norm in (model[1], model[2], model[4]):
        norm.running_mean.fill_(2.0)
    forget.reinitialize(model, forget.whole_mask(model, select=forget.named("0.weight")), statistics="reset")
    assert [float(model[at].running_mean.sum()) for at in (1, 2, 4)] == [0.0, 8.0, 8.0]
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))
    model[2].running_mean.fill_(2.0)
    forget.reinitialize(model, forget.whole_mask(model, select=forget.named("0.weight")), statistics="reset")
    assert (model[2].running_mean == 2).all()


def test_an_optimizers_count_of_steps_stays_also_of_a_single_weight():
    model = nn.Module()
    model.scale = nn.Parameter(torch.tensor(1.0))
    optimizer = torch.optim.Adam(model.parameters(), 0.1)
    for _ in range(3):
        optimizer.zero_grad()
        model.scale.square().backward()
        optimizer.step()
    forget.reinitialize(model, {"scale": torch.tensor(True)}, optimizer=optimizer, init="zero")
    state = optimizer.state[model.scale]
    assert (float(state["step"]), float(state["exp_avg"])) == (3.0, 0.0)


def test_a_bias_beside_a_computed_weight_is_told_before_anything_changes():
    model = nn.Sequential(nn.Linear(2, 2), nn.utils.spectral_norm(nn.Linear(2, 2)))
    model(torch.randn(3, 2))
    before = copy.deepcopy({name: value.detach() for name, value in model.state_dict().items()})
    masks = forget.whole_mask(model, select=forget.named("0.weight", "1.bias"))
    with pytest.raises(ValueError, match=r"cannot re-draw '1\.bias': its Linear computes another tensor"):
        forget.reinitialize(model, masks)
    assert torch.equal(model[0].weight, before["0.weight"])
    forget.reinitialize(model, masks, init="zero")
    assert (model[1].bias == 0).all()


@pytest.mark.parametrize("groups", [1, 2])
def test_channels_of_a_transposed_convolution_are_told_in_groups_too(groups):
    model = nn.Sequential(nn.ConvTranspose2d(4, 6, 2, groups=groups, bias=False), nn.BatchNorm2d(6))
    model[1].running_mean.fill_(2.0)
    model.eval()
    with torch.no_grad():  # all that makes channel 4 is what its output depends on
        weight = torch.rand(model[0].weight.shape, requires_grad=True)
    with torch.enable_grad():
        out = torch.func.functional_call(model[0], {"weight": weight}, (torch.ones(1, 4, 3, 3),))
        out[:, 4].sum().backward()
    forget.reinitialize(model, {"0.weight": weight.grad != 0}, statistics="reset")
    assert model[1].running_mean.tolist() == [2.0, 2.0, 2.0, 2.0, 0.0, 2.0]


def test_a_tied_weight_is_forgotten_once_and_stays_tied():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(5, 4)
            self.head = nn.Linear(4, 5, bias=False)
            self.head.weight = self.embed.weight

    model = Tied()
    report = forget.reinitialize(model, forget.random_mask(model, 0.5))
    assert report.by_name == {"embed.weight": 10}
    assert report.of == 20
    assert model.head.weight is model.embed.weight


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"init": "layers"}, "Did you mean 'layer'"),
        ({"init": "rewind"}, "belong together"),
        ({"initial": {}}, "belong together"),
        ({"init": "rewind", "initial": {"0.weight": torch.zeros(2)}}, "initial has no '0.weight'"),
        ({"shrink": 1.5}, "shrink must lie in"),
        ({"perturb": -1.0}, "perturb must be"),
        ({"state": "drop"}, "unknown state"),
        ({"statistics": "resets"}, "Did you mean 'reset'"),
    ],
)
def test_a_bad_option_is_an_error_and_changes_nothing(options, message):
    model = network()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match=message):
        forget.reinitialize(model, half(model), **options)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
