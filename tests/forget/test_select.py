"""Which parameters each selector finds."""

import pytest
import torch
from torch import nn

from lethe import forget
from lethe.forget._select import selected_parameters
from lethe.models import SmallResNet


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        self.norm = nn.BatchNorm2d(2)
        self.body = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8), nn.Linear(8, 8, bias=False))
        self.head = nn.Linear(8, 3)


def names(select):
    return list(selected_parameters(Branches(), select))


def test_weights_are_those_of_convolutional_and_linear_layers():
    assert names(None) == names(forget.weights) == ["conv.weight", "body.0.weight", "body.2.weight", "head.weight"]


def test_everything_is_every_parameter():
    assert names(forget.everything) == [name for name, _ in Branches().named_parameters()]


def test_whole_numbers_are_not_forgotten():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2, dtype=torch.complex64))
    model[0].table = nn.Parameter(torch.zeros(2, dtype=torch.long), requires_grad=False)  # the smallest of all
    masks = forget.magnitude_mask(model, 0.5, select=forget.everything)
    assert masks.keys() == {"0.weight", "0.bias", "1.weight", "1.bias"}
    forget.reinitialize(model, masks)
    assert model[0].table.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0.25, ["head.weight"]),
        (0.26, ["body.2.weight", "head.weight"]),
        (0.5, ["body.2.weight", "head.weight"]),
        (1.0, ["conv.weight", "body.0.weight", "body.2.weight", "head.weight"]),
    ],
)
def test_later_layers_count_layers_and_round_up(share, expected):
    assert names(forget.later_layers(share)) == expected


def test_later_layers_of_a_residual_network_hold_its_last_stage_and_head():
    chosen = selected_parameters(SmallResNet(4, 10, (0.5,), (0.5,)), forget.later_layers(0.4))
    assert list(chosen) == [
        "stages.2.0.conv1.weight",
        "stages.2.0.conv2.weight",
        "stages.2.0.shortcut.weight",
        "linear.weight",
    ]


class Tied(nn.Module):
    """An embedding whose weight is the head's, too."""

    def __init__(self):
        super().__init__()
        self.embed, self.body = nn.Embedding(5, 4), nn.Linear(4, 4)
        self.head = nn.Linear(4, 5)
        self.head.weight = self.embed.weight


def test_a_tied_weight_stands_where_its_last_layer_does():
    model = Tied()
    assert set(selected_parameters(model, forget.later_layers(0.5))) == {"embed.weight"}
    assert set(selected_parameters(model, forget.last_layer)) == {"embed.weight", "head.bias"}
    assert set(selected_parameters(model, forget.weights)) == {"embed.weight", "body.weight"}


@pytest.mark.parametrize("width", [None, 3])
def test_attentions_projections_are_weights(width):
    model = nn.Sequential(nn.Linear(2, 4), nn.MultiheadAttention(4, 2, kdim=width, vdim=width), nn.Linear(4, 3))
    inside = ["in_proj_weight"] if width is None else ["q_proj_weight", "k_proj_weight", "v_proj_weight"]
    expected = ["0.weight", *(f"1.{name}" for name in inside), "1.out_proj.weight", "2.weight"]
    assert list(selected_parameters(model, forget.weights)) == expected
    masks = forget.random_mask(model, 0.5)
    before = {name: model.get_parameter(name).clone() for name in masks}
    forget.reinitialize(model, masks)
    for name, mask in masks.items():
        assert torch.equal(model.get_parameter(name) != before[name], mask)


def test_named_takes_shell_patterns_in_the_networks_order():
    assert names(forget.named("head.*", "body.?.weight")) == [
        "body.0.weight", "body.1.weight", "body.2.weight", "head.weight", "head.bias",
    ]  # fmt: skip


def test_predicates_of_a_name_or_of_a_name_and_a_parameter():
    assert names(lambda name: name.startswith("conv")) == ["conv.weight", "conv.bias"]
    assert names(lambda name, parameter: parameter.ndim == 4) == ["conv.weight"]


@pytest.mark.parametrize(
    ("select", "message"),
    [
        (forget.named("layer4.*"), "'layer4.*' matches no parameter"),
        (forget.named("head.*", "haed.weight"), "Did you mean 'head.weight'"),
        (lambda name: False, "selects no parameter of this Branches; it has"),
    ],
)
def test_a_selector_that_matches_nothing_is_an_error(select, message):
    with pytest.raises(ValueError, match=message):
        forget.random_mask(Branches(), 0.5, select=select)


def test_a_network_without_parameters_is_an_error():
    with pytest.raises(ValueError, match="selects no parameter"):
        forget.random_mask(nn.ReLU(), 0.5)


def test_a_tied_weight_is_selected_once():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(5, 4)
            self.head = nn.Linear(4, 5, bias=False)
            self.head.weight = self.embed.weight

    assert list(selected_parameters(Tied(), None)) == ["embed.weight"]


def test_share_out_of_range():
    with pytest.raises(ValueError, match="share must lie in"):
        forget.later_layers(1.5)
    with pytest.raises(ValueError, match="would select nothing"):
        forget.later_layers(0)


def test_a_name_in_place_of_a_selector_is_an_error():
    with pytest.raises(ValueError, match=r"for names use named"):
        forget.random_mask(Branches(), 0.5, select="head.weight")


def test_named_needs_a_pattern():
    with pytest.raises(ValueError, match="at least one pattern"):
        forget.named()


def test_a_selector_prints_as_it_is_written():
    assert repr(forget.later_layers(0.5)) == "lethe.forget.later_layers(0.5)"
    assert repr(torch) != repr(forget.weights) == "lethe.forget.weights"


def test_everything_from_some_layer_on():
    assert names(forget.from_layer("body.1")) == [
        "body.1.weight", "body.1.bias", "body.2.weight", "head.weight", "head.bias",
    ]  # fmt: skip
    with pytest.raises(ValueError, match="name contains 'layer4'"):
        names(forget.from_layer("layer4"))


def test_layers_of_a_type():
    assert names(forget.of_type(nn.LayerNorm, nn.Conv2d)) == [
        "conv.weight", "conv.bias", "body.1.weight", "body.1.bias",
    ]  # fmt: skip
    with pytest.raises(ValueError, match="no module of type LSTM"):
        names(forget.of_type(nn.Conv2d, nn.LSTM))
    for wrong in ((), ("Conv2d",)):
        with pytest.raises(ValueError, match="needs module classes"):
            forget.of_type(*wrong)


def test_the_last_layer_is_its_weight_and_bias():
    assert names(forget.last_layer) == ["head.weight", "head.bias"]
