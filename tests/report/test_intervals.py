"""Means and their intervals, against a table of Student's t."""

from dataclasses import replace

import pytest

from lethe.report import interval, with_intervals


def test_by_hand():
    found = interval([1.0, 2.0, 3.0])  # deviation 1; t with 2 degrees of freedom: 4.3027
    assert (found.mean, found.n) == (2.0, 3)
    assert (found.low, found.high) == pytest.approx((2 - 4.3027 / 3**0.5, 2 + 4.3027 / 3**0.5), abs=1e-4)
    same = interval([5.0, 5.0])
    assert (same.low, same.high) == (5.0, 5.0)


def test_no_interval_reaches_beyond_what_the_measure_can_be(section):
    shares = with_intervals(section({"SGD": [99.0, 99.9, 100.0]}))
    assert shares.rows[0].cells[1] == "99.6 (98.3 to 100.0)"
    counts = section({"ALMA": [0.0, 10.0]}, measure=("cumulative error", "images"))
    assert with_intervals(counts).rows[0].cells[1] == "5.0 (-58.5 to 68.5)"  # of these no bound is known
    bound = with_intervals(replace(counts, bounds=(0.0, 40.0)))
    assert bound.rows[0].cells[1] == "5.0 (0.0 to 40.0)"


def test_a_column_is_added_before_n_for_rows_with_seeds(section):
    made = with_intervals(section({"SGD": [1.0, 2.0, 3.0], "AMP": [4.0]}))
    assert made.header == ["method", "last", "accuracy at the end: mean (95 % interval)", "n"]
    assert [row.cells for row in made.rows] == [["1.0", "2.0 (0.0 to 4.5)", "3"], ["4.0", "", "1"]]


def test_a_table_of_single_seeds_is_left_as_it_is(section):
    made = section({"SGD": [1.0], "AMP": [4.0]})
    assert with_intervals(made) == made
