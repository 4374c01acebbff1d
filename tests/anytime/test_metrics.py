"""What an anytime learner is judged by, by hand."""

import pytest

import lethe
from lethe.anytime import cumulative_error, generalisation_gap, learning_speed


def test_cumulative_error_is_the_sum_as_counts_and_as_rates():
    counts = [2500, 1500, 1000]  # of 10,000 test images, after each of three megabatches
    assert cumulative_error(counts) == 5000
    assert cumulative_error([count / 10_000 for count in counts]) == pytest.approx(0.5)
    assert cumulative_error([]) == 0


def test_learning_speed_is_the_area_under_the_accuracy_of_a_megabatch_as_wide_as_one():
    assert learning_speed([0.5, 0.7, 0.9]) == pytest.approx(0.7)
    assert learning_speed([0.9, 0.9]) > learning_speed([0.5, 0.9])  # who is good earlier is faster
    assert learning_speed([0.4] * 3) == pytest.approx(learning_speed([0.4] * 7))
    with pytest.raises(lethe.LetheError, match="at least one"):
        learning_speed([])


def test_the_gap_is_what_was_learnt_by_heart():
    assert generalisation_gap(0.99, 0.80) == pytest.approx(0.19)
    assert generalisation_gap(0.7, 0.8) == pytest.approx(-0.1)
