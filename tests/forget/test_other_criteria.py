"""Gradient norm, dormant units, whole layers: by hand."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lethe import forget


def batches():
    generator = torch.Generator().manual_seed(1)
    return [(torch.randn(6, 4, generator=generator), torch.arange(6) % 3) for _ in range(2)]


def test_the_least_gradient_of_the_batches_together():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))
    for x, y in batches():
        F.cross_entropy(model(x), y).backward()  # adds up
    sizes = {n: p.grad.abs() for n, p in model.named_parameters() if "weight" in n}
    model.zero_grad()
    ranked = torch.cat([s.flatten() for s in sizes.values()]).sort().values
    masks = forget.gradient_mask(model, batches(), 0.4)
    for name, size in sizes.items():
        torch.testing.assert_close(masks[name], size <= ranked[13])
    channels = forget.gradient_mask(model, batches(), 0.25, granularity="channels", select=forget.named("0.weight"))
    assert channels["0.weight"].all(1).nonzero().item() == sizes["0.weight"].square().mean(1).argmin()


def test_a_channels_gradient_is_the_root_mean_square_of_its_weights():
    model = nn.Linear(2, 2, bias=False)
    towards = torch.tensor([[3.0, 2.0], [0.0, 2.0]])  # the loss's slope by each output, of image 0 and 1

    def loss(outputs, y):
        return (outputs * towards[y]).sum()

    # The gradients are (3, 0) and (2, 2): root mean squares of 2.1 and 2, but means of 1.5 and 2.
    mask = forget.gradient_mask(model, [(torch.eye(2), torch.arange(2))], 0.5, granularity="channels", loss=loss)
    assert mask["weight"].tolist() == [[False, False], [True, True]]


def relu_network():
    """Four hidden units that show 0, 1, 2 and 13 on the one image (1, 1)."""
    model = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 3))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[-1.0, -1.0], [1.0, 0.0], [1.0, 1.0], [6.0, 7.0]]))
        model[0].bias.zero_()
    return model, [(torch.ones(1, 2), torch.tensor([0]))]


@pytest.mark.parametrize(("tau", "dormant"), [(0.0, 1), (0.24, 1), (0.25, 2), (0.5, 3), (3.25, 4)])
def test_units_are_dormant_up_to_a_share_of_their_layers_mean(tau, dormant):
    model, data = relu_network()  # the mean is 4: the shares are 0, 1/4, 1/2 and 13/4
    masks = forget.dormant_mask(model, data, tau)
    assert list(masks) == ["0.weight"]  # the last layer gives logits
    assert masks["0.weight"].tolist() == [[at < dormant] * 2 for at in range(4)]


@pytest.mark.parametrize("in_place", [False, True])
def test_a_compiled_network_that_was_evaluated_before_is_looked_through(in_place):
    model, data = relu_network()
    compiled = torch.compile(model, backend="eager")
    if in_place:
        model.compile(backend="eager")
        compiled = model
    with torch.no_grad():
        compiled.eval()(data[0][0])
    assert forget.dormant_mask(compiled, data, 0.24)["0.weight"].all(1).tolist() == [True, False, False, False]


def test_batches_add_up_and_a_dark_layer_is_dormant():
    model, data = relu_network()
    masks = forget.dormant_mask(model, [*data, (-torch.ones(3, 2), torch.zeros(3))], 0.0)
    assert not masks["0.weight"].any()  # three images light the first unit
    with torch.no_grad():
        model[0].bias.fill_(-100.0)
    assert forget.dormant_mask(model, data, 0.0)["0.weight"].all()


def test_convolutions_are_read_after_their_norm_where_that_is_said():
    model = nn.Sequential(nn.Conv2d(1, 3, 1), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([1.0, 1.0, 1.0]).view(3, 1, 1, 1))
        model[0].bias.zero_()
        model[1].bias.copy_(torch.tensor([0.0, -5.0, 0.0]))
    data = [(torch.ones(2, 1, 2, 2), torch.zeros(2))]
    assert not forget.dormant_mask(model, data, 0.0)["0.weight"].any()
    masks = forget.dormant_mask(model, data, 0.0, read_at={"0": "1"}, select=forget.named("0.*", "1.*"))
    assert masks["0.weight"].flatten().tolist() == masks["0.bias"].tolist() == [False, True, False]
    assert set(masks) == {"0.weight", "0.bias"}  # a norm has no units of its own


def test_dormant_units_need_a_hidden_layer_that_runs():
    model, data = relu_network()
    with pytest.raises(ValueError, match="only convolutional and linear layers before the last"):
        forget.dormant_mask(model, data, select=forget.last_layer)
    with pytest.raises(ValueError, match=r"no module '7'"):
        forget.dormant_mask(model, data, read_at={"0": "7"})

    class Spare(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.spare, self.head = nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2)

        def forward(self, x):
            return self.head(self.used(x))

    with pytest.raises(ValueError, match="'spare' did not run"):
        forget.dormant_mask(Spare(), data)
    with pytest.raises(ValueError, match="not finite"):
        forget.dormant_mask(relu_network()[0], [(torch.full((1, 2), torch.nan), None)])


def test_what_falls_below_zero_lights_a_unit_too_where_the_activation_lets_it():
    model, data = relu_network()
    with torch.no_grad():
        model[0].weight[3] *= -1.0  # shows -13
    masks = forget.dormant_mask(model, data, 0.5, activation=lambda x: x)
    assert masks["0.weight"].all(1).tolist() == [True, True, True, False]  # 2, 1, 2, 13 of a mean of 4.5


def test_attention_has_no_units_that_can_be_watched():
    model = nn.Sequential(nn.TransformerEncoderLayer(4, 1, 6, batch_first=True), nn.Flatten(), nn.Linear(8, 2))
    masks = forget.dormant_mask(model, [(torch.randn(3, 2, 4), torch.zeros(3))], 10.0)
    assert set(masks) == {"0.linear1.weight", "0.linear2.weight"}


def test_fisher_information_of_complex_weights_is_the_square_of_the_absolute_gradient():
    class Complex(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(2, dtype=torch.complex64))

        def forward(self, x):
            return (x * self.weight).sum(1)

    # Gradients of the real part by the weights: conj(x). Squared they would be -4 and 1, and the first the least.
    mask = forget.fisher_mask(
        Complex(),
        [(torch.tensor([[2.0j, 1.0]]), torch.zeros(1))],
        0.5,
        select=forget.everything,
        loss=lambda outputs, _: outputs.real.sum(),
    )
    assert mask["weight"].tolist() == [False, True]


def test_whole_layers():
    model = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3), nn.Linear(3, 3), nn.Linear(3, 2))
    assert list(forget.llf_mask(model)) == ["2.weight", "3.weight"]
    masks = forget.llf_mask(model, select=forget.from_layer("1."))
    assert list(masks) == ["1.weight", "1.bias", "2.weight", "2.bias", "3.weight", "3.bias"]
    assert list(forget.rifle_mask(model)) == ["3.weight", "3.bias"]
    assert all(mask.all() for mask in (*masks.values(), *forget.rifle_mask(model).values()))
