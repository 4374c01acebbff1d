"""Paired differences: known intervals, and what is said of them."""

from dataclasses import replace

import pytest

from lethe.report import paired_difference, with_differences


def test_the_interval_by_hand():
    # Differences 1, 2, 3: mean 2, deviation 1, t(0.975, 2) = 4.3027, half 4.3027 / sqrt(3) = 2.4842.
    d = paired_difference([2.0, 4.0, 6.0], [1.0, 2.0, 3.0])
    assert (d.mean, d.n) == (2.0, 3)
    assert d.low == pytest.approx(2 - 2.4842, abs=1e-4)
    assert d.high == pytest.approx(2 + 2.4842, abs=1e-4)
    assert not d.outside_noise
    # Differences 2, 2.5: mean 2.25, deviation 0.35355, t(0.975, 1) = 12.7062, half 3.1766.
    d = paired_difference([3.0, 4.5], [1.0, 2.0])
    assert d.high - d.mean == pytest.approx(3.1766, abs=1e-3)


def test_what_all_seeds_share_is_outside_noise():
    assert paired_difference([1.0, 2.0, 3.0, 4.0], [2.1, 2.9, 4.1, 4.9]).outside_noise


def differences(section):
    (table,) = with_differences(section).beside
    return {row.label: row.cells for row in table.rows}


def test_rows_are_paired_with_the_first_by_seed(section):
    errors = {"SGD": [24.0, 25.0, 23.0], "AMP": [4.0, 5.1, 2.9], "SAM": [24.1, 24.9, 23.05]}
    made = section(errors, higher_is_better=False)
    (table,) = with_differences(made).beside
    assert table.title == "Accuracy at the end, minus that of SGD"
    assert table.header == ["method", "difference, points", "95 % interval", "pairs of seeds", "outcome"]
    amp, sam = table.rows
    assert amp.cells == ["-20.0", "-20.2 to -19.8", "3", "better"]  # 0.1 / sqrt(3) · 4.3027 = 0.25
    assert sam.cells[2:] == ["3", "within noise"]
    first, second, _ = made.rows
    shuffled = replace(second, values=[2.9, 4.0, 5.1], seeds=[2, 0, 1])
    assert differences(replace(made, rows=[first, shuffled])) == {"AMP": amp.cells}


def test_where_there_is_nothing_to_pair_nothing_is_said(section):
    for alone in (section({"SGD": [24.0], "AMP": [4.0]}), section({"SGD": [24.0, 25.0]})):
        assert with_differences(alone) == alone


def test_higher_may_be_better(section):
    made = section({"AT": [11.0, 12.0, 11.5], "FOMO": [22.0, 23.1, 22.4]}, higher_is_better=False)
    assert differences(made)["FOMO"][-1] == "worse"
    assert differences(replace(made, higher_is_better=True))["FOMO"][-1] == "better"


def test_two_pairs_that_differ_alike_are_no_evidence(section):
    made = section({"AT": [11.0, 12.0], "FOMO": [11.5, 12.5]})
    assert differences(made)["FOMO"] == ["+0.5", "+0.5 to +0.5", "2", "too few seeds"]
