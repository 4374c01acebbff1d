"""The stable model's average, by hand."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import prune

from lethe.consolidate import StableModel, consistency_loss


def constant(value):
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, value)
    return layer


def test_early_updates_average_evenly_and_late_ones_by_the_decay():
    stable = StableModel(constant(100.0), decay=0.75)
    seen = []
    for value in (1.0, 3.0, 5.0, 7.0, 20.0):
        stable.update(constant(value))
        seen.append(stable.module.weight.item())
    # 1, (1+3)/2, (1+3+5)/3, (1+3+5+7)/4, then 0.75 * 4 + 0.25 * 20
    assert seen == pytest.approx([1.0, 2.0, 3.0, 4.0, 8.0])


def test_decay_0_follows_and_decay_1_averages_all():
    follow, average = StableModel(constant(0.0), 0.0), StableModel(constant(0.0), 1.0)
    for value in (2.0, 4.0, 9.0):
        follow.update(constant(value))
        average.update(constant(value))
    assert follow.module.weight.item() == 9.0
    assert average.module.weight.item() == pytest.approx(5.0)


def test_batch_statistics_are_averaged_and_the_counter_is_copied():
    working = nn.BatchNorm1d(2)
    stable = StableModel(working, 0.5)
    for mean in (1.0, 2.0, 6.0):
        working.running_mean.fill_(mean)
        working.num_batches_tracked += 1
        stable.update(working)
    assert stable.module.running_mean.tolist() == pytest.approx([3.75, 3.75])  # ((1 + 2) / 2 + 6) / 2
    assert int(stable.module.num_batches_tracked) == 3


def test_it_is_a_model_apart_in_evaluation_mode_without_gradients():
    working = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5)).train()
    stable = StableModel(working, 0.9)
    assert not any(module.training for module in stable.module.modules())
    assert not any(parameter.requires_grad for parameter in stable.module.parameters())
    assert working.training
    assert working[0].weight.requires_grad
    before = copy.deepcopy(stable.module.state_dict())
    with torch.no_grad():
        working[0].weight.add_(1.0)
    assert torch.equal(stable.module[0].weight, before["0.weight"])


def test_its_state_goes_on_to_the_bit():
    working, stable = constant(1.0), StableModel(constant(1.0), 0.9)
    stable.update(working)
    state = copy.deepcopy(stable.state_dict())
    again = StableModel(constant(5.0), 0.9)
    again.load_state_dict(state)
    for model in (stable, again):
        model.update(constant(3.0))
    assert torch.equal(stable.module.weight, again.module.weight)


def test_decay_outside_0_and_1_is_an_error():
    with pytest.raises(ValueError, match="decay must lie in"):
        StableModel(constant(1.0), 1.5)


def test_the_consistency_loss_is_the_divergence_from_the_stable_model():
    p, q = torch.tensor([[0.5, 0.5], [0.9, 0.1]]), torch.tensor([[0.25, 0.75], [0.9, 0.1]])
    # KL(p || q) of the first image; the second agrees
    expected = (0.5 * torch.tensor(2.0).log() + 0.5 * torch.tensor(2 / 3).log()) / 2
    assert consistency_loss(q.log(), p.log()).item() == pytest.approx(expected.item(), abs=1e-6)


def test_the_consistency_loss_teaches_the_working_model_alone():
    logits, stable = torch.randn(4, 3, requires_grad=True), torch.randn(4, 3, requires_grad=True)
    consistency_loss(logits, stable).backward()
    assert stable.grad is None
    expected = (F.softmax(logits, 1) - F.softmax(stable, 1)) / 4
    torch.testing.assert_close(logits.grad, expected.detach())


def test_temperature_scales_back():
    logits, stable = torch.randn(2, 4, 3, dtype=torch.float64) * 1e-4
    cold, hot = (consistency_loss(logits, stable, temperature=t).item() for t in (1.0, 10.0))
    assert hot == pytest.approx(cold, rel=0.02)  # for small logits T² cancels the division


def test_half_precision_weights_are_refused():
    with pytest.raises(ValueError, match="keep the weights in fp32"):
        StableModel(constant(1.0).to(torch.bfloat16), 0.999)


@pytest.mark.parametrize(
    ("ramp", "expected"),
    [("even", [1.0, 2.0, 2.5]), ("slow", [0.9, 0.9 * 2 / 11 + 3 * 9 / 11, None]), ("none", [0.5, 1.75, 2.375])],
)
def test_ramps(ramp, expected):
    stable = StableModel(constant(0.0), 0.5, ramp=ramp)
    for value, wanted in zip((1.0, 3.0, 3.0), expected, strict=True):
        stable.update(constant(value))
        if wanted is not None:
            assert stable.module.weight.item() == pytest.approx(wanted)


def test_batch_statistics_are_copied_where_that_is_asked():
    working = nn.BatchNorm1d(2)
    stable = StableModel(working, 0.5, statistics="copy")
    for mean in (1.0, 2.0, 6.0):
        with torch.no_grad():
            working.running_mean.fill_(mean)
            working.weight.fill_(mean)
        stable.update(working)
    assert stable.module.running_mean.tolist() == [6.0, 6.0]
    assert stable.module.weight.tolist() == pytest.approx([3.75, 3.75])


def test_following_is_copying_and_no_update():
    stable = StableModel(constant(0.0), 0.5)
    stable.follow(constant(4.0))
    assert (stable.module.weight.item(), stable.updates) == (4.0, 0)


def test_a_ready_copy_is_moved_itself():
    ready = constant(1.0)
    stable = StableModel(constant(1.0), 0.5, ready)
    stable.update(constant(3.0))
    assert stable.module is ready
    assert ready.weight.item() == 3.0
    assert not ready.weight.requires_grad
    with pytest.raises(ValueError, match="other parameters"):
        StableModel(constant(1.0), 0.5, nn.Linear(2, 1))


@pytest.mark.parametrize("options", [{"ramp": "evn"}, {"statistics": "recompute"}])
def test_an_unknown_word_is_an_error(options):
    with pytest.raises(ValueError, match="Known"):
        StableModel(constant(1.0), 0.9, **options)


def test_squared_difference_of_probabilities():
    logits, stable = torch.tensor([[0.0, 0.0]], requires_grad=True), torch.tensor([[0.75, 0.25]]).log()
    loss = consistency_loss(logits, stable, distance="mse")
    assert loss.item() == pytest.approx(0.0625)
    assert loss.requires_grad
    with pytest.raises(ValueError, match="unknown distance"):
        consistency_loss(logits, stable, distance="l2")
    with pytest.raises(ValueError, match="temperature must be above 0"):
        consistency_loss(logits, stable, temperature=0.0)


@pytest.mark.parametrize("statistics", ["average", "copy", "leave"])
def test_other_buffers_are_the_working_models(statistics):
    working = nn.Sequential(nn.BatchNorm1d(2))
    working.register_buffer("mask", torch.tensor([0.0, -torch.inf]))  # of which an average would be no number
    working.register_buffer("positions", torch.tensor([1.0, 2.0]))
    stable = StableModel(working, 0.5, statistics=statistics)
    working.positions.add_(1.0)
    for value in (1.0, 2.0):
        working[0].running_mean.fill_(value)
        stable.update(working)
    assert torch.equal(stable.module.mask, working.mask)
    assert torch.equal(stable.module.positions, working.positions)
    expected = {"average": 1.5, "copy": 2.0, "leave": 0.0}[statistics]
    assert stable.module[0].running_mean.tolist() == [expected] * 2


def test_statistics_of_other_norms_than_batch_norm_are_left_to_nobody():
    working = nn.InstanceNorm1d(2, track_running_stats=True)
    stable = StableModel(working, 0.5, statistics="leave")
    for value in (1.0, 2.0):
        working.running_mean.fill_(value)
        stable.update(working)
    assert stable.module.running_mean.tolist() == [1.5, 1.5]


def test_complex_weights_are_averaged():
    working = nn.Linear(1, 1, bias=False, dtype=torch.complex64)
    with torch.no_grad():
        working.weight.fill_(1.0 + 2.0j)
        stable = StableModel(working, 0.75, ramp="none")
        working.weight.fill_(5.0 - 2.0j)
    stable.update(working)
    assert stable.module.weight.item() == pytest.approx(2.0 + 1.0j)


@pytest.mark.parametrize("move", ["update", "follow"])
def test_the_first_update_copies_also_what_replaces_no_number(move):
    working = constant(1.0)
    twin = constant(float("nan"))
    stable = StableModel(working, 0.5, twin)
    getattr(stable, move)(working)
    for mine, theirs in zip(stable.module.parameters(), working.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_a_buffer_that_comes_later_is_told():
    working = constant(1.0)
    stable = StableModel(working, 0.5)
    working.register_buffer("seen", torch.zeros(1))
    with pytest.raises(ValueError, match="let it see a batch before the stable model is made"):
        stable.update(working)


def test_a_network_that_cannot_be_copied_is_told():
    working = prune.random_unstructured(nn.Linear(2, 2), "weight", 0.5)
    with pytest.raises(ValueError, match=r"cannot be copied .*torch\.nn\.utils\.parametrizations"):
        StableModel(working, 0.5)


def test_a_compiled_networks_state_has_the_networks_own_names():
    working = constant(1.0)
    compiled = torch.compile(working, backend="eager")
    states = [StableModel(model, 0.5).state_dict()["module"] for model in (working, compiled)]
    assert list(states[0]) == list(states[1]) == [name for name, _ in working.named_parameters()]
    stable = StableModel(compiled, 0.5)
    wrapped = {f"_orig_mod.{name}": value + 1.0 for name, value in states[0].items()}  # as they were saved before
    for state in (wrapped, states[0]):
        stable.load_state_dict({"module": state, "updates": 1})
        assert torch.equal(next(stable.module.parameters()), next(iter(state.values())))
    stable.update(compiled)
