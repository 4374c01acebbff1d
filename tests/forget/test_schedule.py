"""When forgetting is due, and when overfitting has set in."""

import pytest

from lethe.forget import ForgettingSchedule


def test_from_a_given_start_on():
    schedule = ForgettingSchedule(2, 3, 1)
    assert [epoch for epoch in range(10) if schedule.due(epoch)] == [2, 5, 8]
    for epoch in range(4):
        schedule.observe(0.5 - epoch / 10, epoch)  # is of no use to it
    assert schedule.start == 2


def told(accuracies, patience, period=2):
    schedule = ForgettingSchedule("auto", period, patience)
    for epoch, accuracy in enumerate(accuracies):
        assert not (schedule.due(epoch) and schedule.start is None)
        schedule.observe(accuracy, epoch)
    return schedule


@pytest.mark.parametrize(
    ("accuracies", "patience", "start"),
    [
        ([0.1, 0.2, 0.3, 0.4], 2, None),
        ([0.1, 0.3, 0.2], 1, 3),
        ([0.1, 0.3, 0.2], 2, None),
        ([0.1, 0.3, 0.2, 0.31, 0.3, 0.31], 2, 6),  # a new best begins the count anew; an equal one is none
        ([0.1, 0.1, 0.1, 0.1, 0.1], 2, None),  # it has not begun to learn
        ([0.1, 0.3, 0.3, 0.3, 0.2], 2, 5),
        ([0.1, 0.3, 0.2, 0.1, 0.9, 0.9], 2, 4),  # once begun, it goes on
    ],
)
def test_the_automatic_start(accuracies, patience, start):
    schedule = told(accuracies, patience)
    assert schedule.start == start
    assert [e for e in range(3, 9) if schedule.due(e)] == ([] if start is None else list(range(start, 9, 2)))


@pytest.mark.parametrize("cut", range(6))
def test_its_state_goes_on(cut):
    accuracies = [0.1, 0.3, 0.2, 0.31, 0.3, 0.2]
    first, second = told(accuracies[:cut], 2), ForgettingSchedule("auto", 2, 2)
    second.load_state_dict(first.state_dict())
    for epoch in range(cut, 6):
        second.observe(accuracies[epoch], epoch)
    assert second.start == told(accuracies, 2).start == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((-1, 1, 1), "start"), ((0, 0, 1), "period"), ((0, 1, 0), "patience"), (("soon", 1, 1), "or 'auto'")],
)
def test_a_value_out_of_range_is_an_error(arguments, message):
    with pytest.raises(ValueError, match=message):
        ForgettingSchedule(*arguments)


def test_an_accuracy_that_is_nan_is_an_error():
    with pytest.raises(ValueError, match="is nan"):
        ForgettingSchedule("auto", 1, 1).observe(float("nan"), 0)
