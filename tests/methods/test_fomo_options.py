"""FOMO's readings, criteria, schedule and losses, in a loop of one's own."""

import copy
import io
import warnings

import numpy as np
import pytest
import torch
from fomo_loop import data, make, network, step, train

import lethe
from lethe import forget
from lethe.methods import PAPER, FOMOConfig
from lethe.methods._fomo_config import READINGS


@pytest.mark.parametrize("criterion", forget.CRITERIA)
def test_each_criterion_runs_and_needs_data_only_where_it_looks_at_some(criterion):
    model = network()
    fomo, optimizer = make(model, criterion=criterion, count="overall", dormant_tau=0.9, criterion_images=20)
    train(model, fomo, optimizer, range(2))

    def unread():
        raise AssertionError("batches were read")
        yield

    assert fomo.begin_epoch(1, unread()) is None
    if forget.CRITERIA[criterion].needs_batches:
        with pytest.raises(ValueError, match=r"begin_epoch\(epoch, batches\)"):
            fomo.begin_epoch(2)
        report = fomo.begin_epoch(2, iter(data(2)))
    else:
        report = fomo.begin_epoch(2, unread())
    if forget.CRITERIA[criterion].counts:
        assert report.count == 22  # a quarter of 64 + 24
    assert fomo.forgettings == 1


def test_a_criterion_reads_so_many_images_as_it_was_given():
    read = []

    def batches():
        for x, y in data():
            read.append(len(x))
            yield x, y

    fomo, _ = make(network(), criterion="snip", criterion_images=20)
    fomo.begin_epoch(2, batches())
    assert read == [16, 16]
    model = network()
    one, _ = make(model, criterion="snip", criterion_images=20)
    expected = forget.snip_mask(
        model, [data()[0], (data()[1][0][:4], data()[1][1][:4])], 0.25, select=one.select, count="per-tensor"
    )
    before = copy.deepcopy(model.state_dict())
    one.begin_epoch(2, iter(data()))
    for name, mask in expected.items():
        assert torch.equal(model.get_parameter(name) != before[name], mask)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"granularity": "channels"}, {"3.weight": 16, "5.weight": 8}),
        ({"later_layers": 0.01, "criterion": "whole"}, {"5.weight": 24}),
        ({"forget_only": ("0.*",)}, {"0.weight": 12, "0.bias": 2}),
    ],
)
def test_units_and_layers(options, expected):
    fomo, _ = make(network(), **options)
    assert fomo.begin_epoch(2).by_name == expected


@pytest.mark.parametrize(
    ("told", "done"),
    [
        ({}, {}),
        ({"shrink": 0.4, "perturb": 0.1}, {"shrink": 0.4, "perturb": 0.1}),
        ({"reinit": "kaiming"}, {"init": "kaiming"}),
        ({"reinit": "zero"}, {"init": "zero"}),
        ({"forgotten_state": "keep"}, {"state": "keep"}),
        ({"forgotten_state": "mean"}, {"state": "mean"}),
        ({"forgotten_statistics": "reset"}, {"statistics": "reset"}),
    ],
)
def test_it_forgets_as_it_is_told(told, done):
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    options = {"start": 1, "fraction": 0.25, "criterion": "magnitude", "granularity": "channels", "later_layers": 1.0}
    fomo = lethe.FOMO(model, optimizer, generator=torch.Generator().manual_seed(3), **options, **told)
    train(model, fomo, optimizer, range(1))
    twin, its_optimizer = copy.deepcopy((model, optimizer))
    before = copy.deepcopy((model.state_dict(), optimizer.state_dict()["state"]))
    masks = forget.magnitude_mask(twin, 0.25, granularity="channels", count="per-tensor", ties="first")
    forget.reinitialize(
        twin, masks, optimizer=its_optimizer, generator=torch.Generator().manual_seed(3), **({"init": "layer"} | done)
    )
    fomo.begin_epoch(1)
    for name, value in model.state_dict().items():
        assert torch.equal(value, twin.state_dict()[name]), name
    states = [o.state_dict()["state"] for o in (optimizer, its_optimizer)]
    assert all(torch.equal(states[0][i][key], states[1][i][key]) for i in states[0] for key in states[0][i])
    # What it is told makes a difference here, so that one which is not handed on is seen.
    assert torch.equal(model[1].running_mean, before[0]["1.running_mean"]) != ("statistics" in done)
    assert torch.equal(states[0][0]["exp_avg"], before[1][0]["exp_avg"]) == (done.get("state") == "keep")
    assert bool((states[0][0]["exp_avg_sq"] == 0).any()) == ("state" not in done)


def test_rewinding_goes_back_to_the_weights_of_the_start_also_after_a_resume():
    model = network()
    born = copy.deepcopy(model.state_dict())
    fomo, optimizer = make(model, reinit="rewind", criterion="whole")
    train(model, fomo, optimizer, range(2))
    saved = copy.deepcopy(fomo.state_dict())
    fomo.begin_epoch(2)
    assert torch.equal(model[3].weight, born["3.weight"])
    assert not torch.equal(model[0].weight, born["0.weight"])
    step(model, fomo, optimizer, *data()[0])
    again, _ = make(model, reinit="rewind", criterion="whole")  # built on trained weights
    again.load_state_dict(saved)
    again.begin_epoch(2)
    assert torch.equal(model[3].weight, born["3.weight"])


def test_the_automatic_start_follows_the_validation_accuracy():
    model = network()
    fomo, optimizer = make(model, start="auto", patience=2, period=2)
    train(model, fomo, optimizer, range(5), [0.2, 0.3, 0.3, 0.25, 0.9])
    assert fomo.start == 4
    assert fomo.forgettings == 1
    assert fomo.begin_epoch(6) is not None


def test_an_automatic_start_that_hears_nothing_warns():
    fomo, _ = make(network(), start="auto", patience=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for epoch in range(3):
            fomo.begin_epoch(epoch)
    with pytest.warns(UserWarning, match=r"call fomo\.observe"):
        fomo.begin_epoch(3)


def test_the_learning_rate_of_relearning():
    model = network()
    fomo, optimizer = make(model, relearn_lr=0.5)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [1, 4], 0.1)
    seen = []
    for epoch in range(6):
        fomo.begin_epoch(epoch)
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert seen == pytest.approx([0.1, 0.01, 0.05, 0.05, 0.05, 0.05])
    with pytest.raises(ValueError, match="give FOMO the optimizer"):
        lethe.FOMO(model, None, relearn_lr=0.5)


def test_the_first_learning_rate_is_that_of_the_beginning_also_where_it_was_changed_by_hand():
    fomo, optimizer = make(network(), relearn_lr=0.5)
    optimizer.param_groups[0]["lr"] = 0.01
    fomo.begin_epoch(2)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.05)


def test_numbers_of_numpy_and_tensors_end_in_a_state_that_torch_loads_without_trust(tmp_path):
    model = network()
    options = {"start": "auto", "patience": 1, "period": np.int64(2), "relearn_lr": np.float64(0.5)}
    fomo, optimizer = make(model, **options)
    refilled = torch.zeros(())
    for epoch, accuracy in zip(np.arange(4), (0.1, 0.3, 0.2, 0.1), strict=True):
        fomo.begin_epoch(epoch)
        fomo.observe(refilled.fill_(accuracy))
    assert fomo.start == 3
    fomo.end_epoch(np.int64(3))
    torch.save([fomo.state_dict(), optimizer.state_dict()], tmp_path / "state.pt")
    mine, its = torch.load(tmp_path / "state.pt", weights_only=True)
    again, optimizer = make(model, **options)
    again.load_state_dict(mine)
    optimizer.load_state_dict(its)
    assert again.start == 3
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.05)


@pytest.mark.parametrize("early", [True, False])
def test_the_first_learning_rate_outlives_a_resume_without_a_schedule(early):
    model = network()
    fomo, optimizer = make(model, relearn_lr=0.5, start=0)
    fomo.begin_epoch(0)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.05)
    saved = copy.deepcopy((optimizer.state_dict(), fomo.state_dict()))
    other = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    if early:  # FOMO may be built before or after
        other.load_state_dict(saved[0])
    same = {"start": 0, "period": 3, "relearn_lr": 0.5, "decay": 0.9, "later_layers": 0.5, "consistency": 2.0}
    resumed = lethe.FOMO(model, other, generator=torch.Generator().manual_seed(0), **same)
    other.load_state_dict(saved[0])
    resumed.load_state_dict(saved[1])
    resumed.begin_epoch(1)
    assert other.param_groups[0]["lr"] == pytest.approx(0.05)


def test_groups_may_be_added_and_rates_may_be_tensors():
    model = network()
    rate = torch.tensor(0.1)
    optimizer = torch.optim.Adam(model[:5].parameters(), rate, foreach=False, capturable=False)
    with pytest.warns(UserWarning, match="does not hold 1"):
        fomo = lethe.FOMO(model, optimizer, start=0, relearn_lr=0.5)
    optimizer.add_param_group({"params": list(model[5].parameters()), "lr": 0.4})
    fomo.begin_epoch(0)
    assert optimizer.param_groups[0]["lr"] is rate
    assert (rate.item(), optimizer.param_groups[1]["lr"]) == (pytest.approx(0.05), 0.2)


def test_a_stochastic_average_moves_with_its_probability_and_its_own_draws():
    model = network()
    fomo, _ = make(model, average="stochastic", average_probability=0.3, start=100)
    state = torch.get_rng_state()
    for _ in range(300):
        fomo.end_step()
    assert torch.equal(torch.get_rng_state(), state)
    assert 60 < fomo._stable.updates < 120
    always, _ = make(model, average="stochastic", average_probability=1.0, start=100)
    always.end_step()
    assert always._stable.updates == 1


def test_an_average_of_phases_moves_once_a_phase_before_the_next_forgetting():
    model = network()
    fomo, optimizer = make(model, average="phase", decay=0.75, ramp="none")
    ends = []
    for epoch in range(9):
        train(model, fomo, optimizer, [epoch])
        ends.append(model[0].weight.detach().clone())
        if epoch < 1:  # nothing to consolidate yet: it follows
            assert torch.equal(fomo.stable[0].weight, ends[-1])
    # forgetting in epochs 2, 5 and 8: consolidated at the ends of 1, 4 and 7
    average = ends[0]
    for end in (ends[1], ends[4], ends[7]):
        average = 0.75 * average + 0.25 * end
    torch.testing.assert_close(fomo.stable[0].weight, average)
    assert fomo._stable.updates == 3


def test_phases_are_consolidated_without_end_epoch_too():
    """And until the first one the stable model follows, an epoch behind."""
    one, two = network(), network()
    with_end, optimizer_one = make(one, average="phase", decay=0.5)
    without, optimizer_two = make(two, average="phase", decay=0.5)
    train(one, with_end, optimizer_one, range(6))
    for epoch in range(6):
        without.begin_epoch(epoch)
        if epoch == 1:
            assert torch.equal(without.stable[0].weight, two[0].weight)
        for x, y in data(epoch):
            step(two, without, optimizer_two, x, y)
    assert all(
        torch.equal(a, b) for a, b in zip(with_end.stable.parameters(), without.stable.parameters(), strict=True)
    )


OPTIONS = [
    {"decay": None, "average_phases": 1.0},
    {"average": "stochastic", "average_probability": 0.5},
    {"average": "phase", "decay": 0.5},
    {"start": "auto", "patience": 1, "criterion": "snip", "relearn_lr": 0.3},
    {"stable_statistics": "recompute", "reinit": "rewind", "clean_consistency": 1.0},
    {"stable_statistics": "measure"},
    {"stable_statistics": "average"},
]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("stop", [1, 3, 4, 6])
def test_a_saved_fomo_goes_on_to_the_bit_with_every_option(options, stop, assert_equal_state):
    accuracies = [0.1, 0.2, 0.3, 0.2, 0.3, 0.2, 0.4, 0.1, 0.1]

    def saved(model, fomo, optimizer):
        file = io.BytesIO()
        state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "fomo": fomo.state_dict()}
        torch.save(state, file)
        file.seek(0)
        return torch.load(file, weights_only=True)

    model = network()
    fomo, optimizer = make(model, **options)
    train(model, fomo, optimizer, range(stop), accuracies)
    state = saved(model, fomo, optimizer)
    train(model, fomo, optimizer, range(stop, 9), accuracies)
    again = network()
    resumed, resumed_optimizer = make(again, **options)
    again.load_state_dict(state["model"])
    resumed_optimizer.load_state_dict(state["optimizer"])
    resumed.load_state_dict(state["fomo"])
    train(again, resumed, resumed_optimizer, range(stop, 9), accuracies)
    assert fomo.forgettings >= 1
    assert_equal_state(saved(model, fomo, optimizer), saved(again, resumed, resumed_optimizer))


@pytest.mark.parametrize("ramp", ["none", "slow"])
def test_phases_without_end_epoch_go_on_to_the_bit(ramp, assert_equal_state):
    """What the next epoch's beginning does for them is of the epoch that was saved."""

    def run(model, fomo, optimizer, epochs):
        for epoch in epochs:
            fomo.begin_epoch(epoch)
            for x, y in data(epoch):
                step(model, fomo, optimizer, x, y)

    model = network()
    fomo, optimizer = make(model, average="phase", ramp=ramp)
    run(model, fomo, optimizer, range(2))
    state = copy.deepcopy((model.state_dict(), optimizer.state_dict(), fomo.state_dict()))
    run(model, fomo, optimizer, range(2, 6))
    again = network()
    resumed, resumed_optimizer = make(again, average="phase", ramp=ramp)
    for one, saved in zip((again, resumed_optimizer, resumed), state, strict=True):
        one.load_state_dict(saved)
    run(again, resumed, resumed_optimizer, range(2, 6))
    assert_equal_state(fomo.state_dict(), resumed.state_dict())


@pytest.fixture
def assert_equal_state():
    def check(one, two):
        assert type(one) is type(two)
        if isinstance(one, torch.Tensor):
            assert torch.equal(one, two)
        elif isinstance(one, dict):
            assert list(one) == list(two)
            for key in one:
                check(one[key], two[key])
        elif isinstance(one, list):
            for a, b in zip(one, two, strict=True):
                check(a, b)
        else:
            assert one == two

    return check


def test_a_state_of_version_0_1_0_loads():
    fomo, _ = make(network())
    fomo.begin_epoch(2)
    old = {k: v for k, v in fomo.state_dict().items() if k in ("stable", "forgettings", "forgot_at", "generator")}
    again, _ = make(network())
    again.load_state_dict(old)
    assert again.forgettings == 1
    assert again.begin_epoch(2) is None


def test_the_command_lines_options_are_the_librarys():
    config = FOMOConfig(auto_start=True, patience=3, criterion="snip", average="phase", forget_only=("3.*",))
    model = network()
    fomo = config.build(model, torch.optim.SGD(model.parameters(), 0.1), 200, torch.Generator())
    assert (fomo.start, fomo.schedule.patience, fomo.options.criterion) == (None, 3, "snip")
    assert list(forget.random_mask(model, 0.5, select=fomo.select)) == ["3.weight", "3.bias"]
    assert PAPER.build(model, None, 200, torch.Generator()).start == 105
    assert set(READINGS) == {"step", "stochastic", "phase"}
