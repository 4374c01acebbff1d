"""The learning rate of every step: by hand, against torch's own schedulers, and against the published scripts."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim import SGD
from torch.optim.lr_scheduler import CosineAnnealingLR, MultiStepLR

import lethe
from lethe.engine import ScheduleConfig, load_checkpoint, save_checkpoint

epochs_and_steps = {"epochs": st.integers(1, 12), "steps": st.integers(1, 7)}
shares = st.lists(st.floats(0, 1), max_size=3).map(tuple)


def optimizer_with(lr):
    return SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)


def rates(config, steps, lr=1.0):
    """Of each step of the run."""
    optimizer = optimizer_with(lr)
    scheduler, found = config.build(optimizer, steps), []
    for _ in range(config.epochs * steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


@settings(deadline=None, max_examples=40)
@given(**epochs_and_steps, milestones=shares, gamma=st.floats(0, 2), lr=st.floats(1e-6, 10))
def test_piecewise_by_epoch_is_torchs_multi_step_schedule_to_the_bit(epochs, steps, milestones, gamma, lr):
    optimizer, expected = optimizer_with(lr), []
    theirs = MultiStepLR(optimizer, [max(1, round(m * epochs)) for m in milestones], gamma)
    for _ in range(epochs):
        expected += [optimizer.param_groups[0]["lr"]] * steps
        optimizer.step()
        theirs.step()
    config = ScheduleConfig(epochs=epochs, milestones=milestones, gamma=gamma)
    assert rates(config, steps, lr) == expected


def test_the_learning_rate_falls_at_shares_of_the_epochs():
    found = rates(ScheduleConfig(epochs=10, milestones=(0.5, 0.75), gamma=0.1), 2)
    assert found == pytest.approx([1.0] * 10 + [0.1] * 6 + [0.01] * 4)


def test_without_milestones_it_stays():
    assert rates(ScheduleConfig(epochs=2, milestones=()), 3) == [1.0] * 6
    assert rates(ScheduleConfig(epochs=2, schedule="constant"), 3) == [1.0] * 6


def test_the_papers_schedule_falls_at_epochs_100_and_150_of_200():
    found = rates(ScheduleConfig(epochs=200), 1)
    assert [epoch for epoch in range(1, 200) if found[epoch] != found[epoch - 1]] == [100, 150]


def test_a_run_of_one_epoch_keeps_its_learning_rate():
    assert rates(ScheduleConfig(epochs=1), 4) == [1.0] * 4


@settings(deadline=None, max_examples=40)
@given(epochs=st.sampled_from([4, 100, 200]), steps=st.integers(1, 400))
def test_piecewise_by_step_is_that_of_the_script(epochs, steps):
    """``lr_schedule(epoch + (i + 1) / len(train_batches))``, set before step i."""

    def script(t):
        if t / epochs < 0.5:
            return 0.1
        return 0.1 / 10 if t / epochs < 0.75 else 0.1 / 100

    config = ScheduleConfig(epochs=epochs, schedule_by="step")
    for epoch in {0, epochs // 2 - 1, epochs // 2, epochs * 3 // 4 - 1, epochs * 3 // 4, epochs - 1}:
        for i in {0, steps - 1}:
            rate = config.rate(0.1, epoch * steps + i, steps)
            assert rate == pytest.approx(script(epoch + (i + 1) / steps)), (epoch, i)


def test_by_step_the_last_batch_of_epoch_99_is_already_decayed():
    config = ScheduleConfig(epochs=200, schedule_by="step")
    found = rates(config, 352)
    falls = [step for step in range(1, len(found)) if found[step] != found[step - 1]]
    assert falls == [100 * 352 - 1, 150 * 352 - 1]


@settings(deadline=None, max_examples=40)
@given(**epochs_and_steps, lr=st.floats(1e-3, 10))
def test_cosine_is_torchs(epochs, steps, lr):
    optimizer, expected = optimizer_with(lr), []
    theirs = CosineAnnealingLR(optimizer, epochs * steps)
    for _ in range(epochs * steps):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()
    assert rates(ScheduleConfig(epochs=epochs, schedule="cosine"), steps, lr) == pytest.approx(expected, abs=1e-12)


@settings(deadline=None, max_examples=40)
@given(**epochs_and_steps, peak=st.floats(0.05, 0.95))
def test_cyclic_is_that_of_the_script(epochs, steps, peak):
    t = [epoch + (i + 1) / steps for epoch in range(epochs) for i in range(steps)]
    expected = np.interp(t, [0, peak * epochs, epochs], [0, 0.2, 0])
    config = ScheduleConfig(epochs=epochs, schedule="cyclic", cyclic_peak=peak)
    assert rates(config, steps, 0.2) == pytest.approx(list(expected), abs=1e-12)


def test_cyclic_by_hand():
    found = rates(ScheduleConfig(epochs=5, schedule="cyclic"), 2)
    assert found == pytest.approx([0.25, 0.5, 0.75, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6, 0], abs=1e-12)


def test_a_warm_up_grows_to_what_the_schedule_says():
    found = rates(ScheduleConfig(epochs=4, warmup=1.5, schedule="constant"), 2)
    assert found == pytest.approx([1 / 3, 2 / 3, 1, 1, 1, 1, 1, 1])
    cosine = rates(ScheduleConfig(epochs=4, schedule="cosine"), 2)
    warmed = rates(ScheduleConfig(epochs=4, schedule="cosine", warmup=1.5), 2)
    assert warmed == pytest.approx([cosine[0] / 3, cosine[1] * 2 / 3, *cosine[2:]])


@settings(deadline=None, max_examples=40)
@given(**epochs_and_steps, at=st.integers(0, 84), schedule=st.sampled_from(["piecewise", "cosine", "cyclic"]))
def test_a_resumed_schedule_goes_on_with_the_same_rates(epochs, steps, at, schedule):
    config = ScheduleConfig(epochs=epochs, schedule=schedule, schedule_by="step", warmup=0.5)
    alone, at = rates(config, steps, 0.3), at % (epochs * steps)
    optimizer = optimizer_with(0.3)
    scheduler = config.build(optimizer, steps)
    for _ in range(at):
        optimizer.step()
        scheduler.step()
    again = optimizer_with(7.0)
    resumed = config.build(again, steps)
    again.load_state_dict(optimizer.state_dict())
    resumed.load_state_dict(scheduler.state_dict())
    assert resumed.get_last_lr() == [alone[at]]
    for expected in alone[at:]:
        assert again.param_groups[0]["lr"] == expected
        again.step()
        resumed.step()


def test_the_state_is_plain_numbers(tmp_path):
    scheduler = ScheduleConfig().build(optimizer_with(0.1), 3)
    save_checkpoint(tmp_path / "s.pt", scheduler.state_dict())
    assert load_checkpoint(tmp_path / "s.pt") == {"steps": 0, "steps_per_epoch": 3, "base_lrs": [0.1]}


def test_where_epochs_have_other_steps_it_goes_on_by_epochs():
    config = ScheduleConfig(epochs=12)
    before = config.build(optimizer_with(0.1), 4)
    for _ in range(5 * 4 + 2):
        before.optimizer.step()
        before.step()
    resumed = config.build(optimizer_with(0.1), 3)
    resumed.load_state_dict(before.state_dict())
    assert resumed.last_epoch == 5 * 3 + 2
    old = {name: value for name, value in before.state_dict().items() if name != "steps_per_epoch"}
    resumed.load_state_dict(old)  # which does not say
    assert resumed.last_epoch == 22


def test_the_state_of_a_schedule_that_counted_epochs_is_read():
    before, optimizer = optimizer_with(0.1), optimizer_with(0.1)
    old = MultiStepLR(before, [2, 3], 0.1)
    for _ in range(2):
        before.step()
        old.step()
    config = ScheduleConfig(epochs=4)
    scheduler = config.build(optimizer, 5)
    optimizer.load_state_dict(before.state_dict())
    scheduler.load_state_dict(old.state_dict())
    found = []
    for _ in range(10):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert found == rates(config, 5, 0.1)[10:]


def test_every_group_has_its_own_rate():
    parameters = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in (0.1, 1.0)]
    optimizer = SGD(parameters)
    scheduler = ScheduleConfig(epochs=2).build(optimizer, 1)
    optimizer.step()
    scheduler.step()
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.01, 0.1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"batch_size": 1}, "batch_size must be at least 2"),
        ({"milestones": (0.5, 1.5)}, "a milestone must lie in"),
        ({"gamma": -0.1}, "gamma must be"),
        ({"schedule": "cosin"}, "Did you mean 'cosine'"),
        ({"schedule_by": "batch"}, "unknown schedule_by 'batch'.* Known: epoch, step"),
        ({"cyclic_peak": 1.0}, "cyclic_peak must lie between 0 and 1"),
        ({"warmup": -1.0}, "warmup must be"),
        ({"epochs": 2, "warmup": 2.5}, "warm up for fewer"),
    ],
)
def test_a_schedule_out_of_range_is_refused(options, message):
    with pytest.raises(lethe.LetheError, match=message):
        ScheduleConfig(**options)


def test_an_epoch_without_a_step_is_refused():
    with pytest.raises(lethe.LetheError, match="steps_per_epoch must be at least 1"):
        ScheduleConfig().build(optimizer_with(0.1), 0)
