"""Schedules by hand, and options out of range."""

import pytest
import torch
from torch.optim import SGD

import lethe
from lethe.engine import RunConfig, ScheduleConfig


def learning_rates(config):
    optimizer = SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler, rates = config.build(optimizer), []
    for _ in range(config.epochs):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def test_the_learning_rate_falls_at_shares_of_the_epochs():
    rates = learning_rates(ScheduleConfig(epochs=10, milestones=(0.5, 0.75), gamma=0.1))
    assert rates == pytest.approx([1.0] * 5 + [0.1] * 3 + [0.01] * 2)


def test_without_milestones_it_stays():
    assert learning_rates(ScheduleConfig(epochs=4, milestones=())) == [1.0] * 4


def test_the_papers_schedule_falls_at_epochs_100_and_150_of_200():
    rates = learning_rates(ScheduleConfig(epochs=200))
    assert [epoch for epoch in range(1, 200) if rates[epoch] != rates[epoch - 1]] == [100, 150]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"batch_size": 1}, "batch_size must be at least 2"),
        ({"milestones": (0.5, 1.5)}, "a milestone must lie in"),
        ({"gamma": -0.1}, "gamma must be"),
    ],
)
def test_a_schedule_out_of_range_is_refused(options, message):
    with pytest.raises(lethe.LetheError, match=message):
        ScheduleConfig(**options)


def test_a_device_that_is_not_here_is_one_line():
    assert RunConfig(device="cpu").torch_device() == torch.device("cpu")
    for device in ("no-such-device", "cuda:99"):
        with pytest.raises(lethe.LetheError, match="is not available here: use --device cpu or auto"):
            RunConfig(device=device).torch_device()


def test_a_run_of_one_epoch_keeps_its_learning_rate():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1)
    ScheduleConfig(epochs=1).build(optimizer)
    assert optimizer.param_groups[0]["lr"] == 0.1
