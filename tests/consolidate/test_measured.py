"""Batch norm's statistics are measured while the stable model answers, and its answers stay what they were."""

import copy

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from lethe import FOMO
from lethe.consolidate import MeasuredStatistics


def ask(measured, network, *batches):
    with torch.no_grad():
        return [measured.ask(lambda x=x: network(x)) for x in batches]


def test_by_hand():
    norm = nn.BatchNorm1d(1).eval()
    measured = MeasuredStatistics(norm, norm)
    ask(measured, norm, torch.tensor([[0.0], [2.0]]), torch.tensor([[4.0], [6.0]]))
    assert norm.running_mean.item() == 0.0  # within a step they stay
    measured.move()
    assert norm.running_mean.item() == pytest.approx(0.1 * 3.0)  # from 0 a tenth of the way to the mean of 0, 2, 4, 6
    assert norm.running_var.item() == pytest.approx(0.9 * 1.0 + 0.1 * 20 / 3)  # (9 + 1 + 1 + 9) / 3
    assert norm.num_batches_tracked == 0
    before = norm.running_mean.clone()
    measured.move()  # nothing was seen since
    norm(torch.ones(3, 1))  # nor does it count what it is shown elsewhere
    measured.move()
    assert torch.equal(norm.running_mean, before)


@pytest.mark.parametrize("momentum", [0.1, 0.5, 1.0])
@pytest.mark.parametrize(
    ("norm", "shape"), [(nn.BatchNorm1d, (9, 4)), (nn.BatchNorm1d, (9, 4, 5)), (nn.BatchNorm2d, (9, 4, 3, 2))]
)
def test_a_layer_moves_as_it_would_in_training(norm, shape, momentum):
    layer = norm(4, momentum=momentum)
    layer.running_mean.copy_(torch.tensor([-2.0, 0.0, 1.0, 30.0]))
    trained, x = copy.deepcopy(layer), 3 * torch.randn(shape, generator=torch.Generator().manual_seed(0)) + 1
    measured = MeasuredStatistics(layer.eval(), layer)
    ask(measured, layer, x)
    measured.move()
    trained.train()(x)
    torch.testing.assert_close(layer.running_mean, trained.running_mean)
    torch.testing.assert_close(layer.running_var, trained.running_var)


@given(cut=st.integers(1, 15), shift=st.floats(-50, 50), seed=st.integers(0, 99))
def test_parts_of_a_batch_count_as_the_whole(cut, shift, seed):
    x = torch.randn(16, 3, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + shift
    found = []
    for parts in ([x], [x[:cut], x[cut:]]):
        norm = nn.BatchNorm1d(3).double().eval()
        measured = MeasuredStatistics(norm, norm)
        ask(measured, norm, *parts)
        measured.move()
        found.append(torch.cat((norm.running_mean, norm.running_var)))
    torch.testing.assert_close(*found)


def test_answers_do_not_change_and_inner_layers_see_what_the_answer_is_made_of():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 4), nn.BatchNorm1d(4)).eval()
    network[1].running_mean.fill_(0.7)
    measured, x = MeasuredStatistics(network, network), torch.randn(20, 5)
    expected, inner = network(x), network[:4](x)
    (answer,) = ask(measured, network, x)
    assert torch.equal(answer, expected)
    measured.move()
    torch.testing.assert_close(network[4].running_mean, 0.1 * inner.mean(0))
    torch.testing.assert_close(network[4].running_var, 0.9 + 0.1 * inner.var(0))
    assert not network[1].training
    assert not network[1]._forward_pre_hooks


def test_half_precision_is_measured_in_single():
    norm = nn.BatchNorm1d(2, momentum=1.0).eval()
    measured, x = MeasuredStatistics(norm, norm), (torch.randn(4000, 2) + 20).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ask(measured, norm, x)
    measured.move()
    assert norm.running_var.dtype == torch.float32
    torch.testing.assert_close(norm.running_mean, x.float().mean(0))
    torch.testing.assert_close(norm.running_var, x.float().var(0))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_network_in_half_precision_is_counted_in_single(dtype):
    """65,536 values are more than fp16 can count, and more than bf16 can tell from 65,535."""
    norm = nn.BatchNorm1d(1, momentum=1.0).to(dtype).eval()
    measured, x = MeasuredStatistics(norm, norm), torch.randn(256, 1, 256).to(dtype)
    ask(measured, norm, x, x + 2)
    measured.move()
    both = torch.cat((x, x + 2)).float()
    assert norm.running_mean.item() == pytest.approx(both.mean().item(), rel=0.01)
    assert norm.running_var.item() == pytest.approx(both.var().item(), rel=0.01)


def test_what_overflowed_stays_and_the_rest_moves():
    norm = nn.BatchNorm1d(2).eval()
    measured = MeasuredStatistics(norm, norm)
    for bad in (torch.inf, torch.nan):
        ask(measured, norm, torch.tensor([[1.0, 2.0], [bad, 4.0]]))
    measured.move()
    torch.testing.assert_close(norm.running_mean, torch.tensor([0.0, 0.3]))
    assert norm.running_var[0] == 1.0


def test_a_layer_without_momentum_moves_by_a_tenth_and_one_value_has_no_variance_to_divide():
    norm = nn.BatchNorm1d(1, momentum=None).eval()
    measured = MeasuredStatistics(norm, norm)
    ask(measured, norm, torch.full((1, 1), 5.0))
    measured.move()
    assert norm.running_mean.item() == pytest.approx(0.5)
    assert norm.running_var.item() == pytest.approx(0.9)


@pytest.mark.parametrize(
    "network", [nn.Linear(3, 3), nn.BatchNorm1d(3, track_running_stats=False), nn.InstanceNorm1d(3, momentum=0.5)]
)
def test_what_is_no_batch_norm_with_statistics_is_left_alone(network):
    measured = MeasuredStatistics(network.eval(), network)
    before = copy.deepcopy(network.state_dict())
    ask(measured, network, torch.randn(4, 3, 2) if isinstance(network, nn.InstanceNorm1d) else torch.randn(4, 3))
    assert measured.move() == frozenset()
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key])


class Branches(nn.Module):
    """One norm for each kind of images, as some adversarial training has it, called by keyword."""

    def __init__(self):
        super().__init__()
        self.norms = nn.ModuleList([nn.BatchNorm1d(3), nn.BatchNorm1d(3, momentum=0.5)])

    def forward(self, x, branches=(0,)):
        return sum(self.norms[branch](input=x) for branch in branches)


def test_layers_that_are_not_shown_anything_stay_and_the_moved_are_named():
    network = Branches().eval()
    measured, x = MeasuredStatistics(network, network), torch.randn(5, 3) + 2
    ask(measured, network, x)
    assert measured.move() == {id(network.norms[0].running_mean), id(network.norms[0].running_var)}
    assert network.norms[1].running_mean.tolist() == [0.0] * 3
    with torch.no_grad():
        measured.ask(lambda: network(x, (0, 1)))
        measured.ask(lambda: network(3 * x, (1,)))  # the two saw different numbers of batches
    measured.move()
    both = torch.cat((x, 3 * x))
    torch.testing.assert_close(network.norms[0].running_mean, 0.1 * x.mean(0) + 0.9 * 0.1 * x.mean(0))
    torch.testing.assert_close(network.norms[1].running_mean, 0.5 * both.mean(0))
    torch.testing.assert_close(network.norms[1].running_var, 0.5 + 0.5 * both.var(0))


def test_layers_that_are_frozen_in_the_working_network_are_left_alone():
    working = nn.Sequential(nn.BatchNorm1d(2), nn.BatchNorm1d(2))
    network = copy.deepcopy(working).eval()
    working[0].eval()
    measured = MeasuredStatistics(network, working)
    ask(measured, network, torch.randn(6, 2) + 1)
    assert measured.move() == {id(network[1].running_mean), id(network[1].running_var)}


def test_an_empty_batch_changes_nothing():
    norm, alone = nn.BatchNorm1d(2).eval(), nn.BatchNorm1d(2).eval()
    x = torch.randn(4, 2)
    for layer, batches in ((norm, (x[:0], x)), (alone, (x,))):
        measured = MeasuredStatistics(layer, layer)
        ask(measured, layer, *batches)
        measured.move()
        ask(measured, layer, x[:0])
        measured.move()
    assert torch.equal(norm.running_mean, alone.running_mean)
    assert torch.equal(norm.running_var, alone.running_var)


def test_what_was_seen_can_be_let_go():
    norm = nn.BatchNorm1d(2).eval()
    measured = MeasuredStatistics(norm, norm)
    ask(measured, norm, torch.full((3, 2), torch.nan))
    measured.forget()
    assert measured.move() == frozenset()
    assert norm.running_mean.tolist() == [0.0, 0.0]


def test_hooks_go_away_after_an_error():
    norm = nn.BatchNorm1d(2).eval()
    with pytest.raises(ValueError, match="expected"):
        ask(MeasuredStatistics(norm, norm), norm, torch.ones(2, 2, 2, 2))
    assert not norm._forward_pre_hooks


def forgets_and_learns(network, loss_of=lambda function: function, **options):
    """The running mean of FOMO's stable model after some epochs, in which it was also asked elsewhere."""
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    fomo = FOMO(network, optimizer, start=1, period=2, generator=torch.Generator().manual_seed(0), **options)
    generator = torch.Generator().manual_seed(1)

    def loss(x, y):
        logits = network(x)
        return F.cross_entropy(logits, y) + fomo.consistency(x, logits)

    loss = loss_of(loss)
    for epoch in range(3):
        fomo.begin_epoch(epoch)
        for _ in range(2):
            x, y = torch.randn(8, 3, generator=generator), torch.randint(2, (8,), generator=generator)
            optimizer.zero_grad()
            loss(x, y).backward()
            optimizer.step()
            fomo.end_step()
        with torch.no_grad():
            fomo.stable(x)
    return next(module.running_mean for module in fomo.stable.modules() if isinstance(module, nn.BatchNorm1d))


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # dynamo's own look at it
@pytest.mark.parametrize("how", ["network", "in place", "loss"])
def test_compiled_networks_are_measured_too(how):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2))
    expected, compiled = forgets_and_learns(copy.deepcopy(network)), network
    options = {}
    if how == "network":
        compiled = torch.compile(network, backend="eager")
    elif how == "in place":
        network.compile(backend="eager")
    else:
        options = {"loss_of": lambda loss: torch.compile(loss, backend="eager")}
        forgets_and_learns(
            copy.deepcopy(network), **options, stable_statistics="average"
        )  # the same code, without hooks
    torch.testing.assert_close(forgets_and_learns(compiled, **options), expected)
