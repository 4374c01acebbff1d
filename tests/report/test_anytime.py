"""Anytime runs by hand: what stands in the table, where curves lie, and how far intervals reach."""

from dataclasses import replace

import pytest

from lethe.engine import RunConfig
from lethe.recipes import AlmaRecipe, LureRecipe, StreamConfig
from lethe.recipes._anytime import LearningConfig
from lethe.report import draw, group_runs, markdown, sections, with_differences, with_intervals
from lethe.report._curves import band

STREAM = StreamConfig(megabatches=2)


def line(number, errors, *, flops=None, images=100, **more):
    closing = {"megabatch": number, "test/errors": errors, "test/clean": 1 - errors / images, **more}
    if flops is not None:
        closing |= {"flops": flops, "test_images": images, "learning_speed": 0.5, "test/ece": 0.1, "gap": 0.25} | more
    return closing


def records(first, second):
    return [
        {"megabatch": 1, "epoch": 1, "train/loss": 1.0, "seconds": 60.0},
        line(1, first, flops=2e12),
        {"megabatch": 2, "epoch": 1, "train/loss": 1.0, "seconds": 30.0},
        {"megabatch": 2, "epoch": 2, "train/loss": 1.0, "seconds": 30.0},
        line(2, second, flops=4e12, learning_speed=0.7),
    ]


def seeded(kind, seed, **more):
    return replace(kind(stream=STREAM, **more), run=RunConfig(seed=seed))


def test_errors_are_added_up_as_counts_and_as_shares_and_costs_are_told(finished_run):
    (section,) = sections(group_runs([finished_run("a", seeded(AlmaRecipe, 0), records(40, 20))]))
    assert "after each of 2 megabatches" in section.title
    (beside,) = section.beside
    main, more = (dict(zip(s.header[1:], s.rows[0].cells, strict=True)) for s in (section, beside))
    assert main == {
        "errors, images": "60",
        "errors, %": "60.0",
        "final, %": "20.0",
        "speed, %": "60.0",
        "n": "1",
    }
    assert more == {
        "final calibration error, %": "10.0",
        "final gap, %": "25.0",
        "TFLOPs": "6",
        "minutes": "2",
        "n": "1",
    }
    written = markdown([section])
    assert written.index("| speed, % |") < written.index("| final gap, % |")
    assert section.rows[0].values == [60.0]
    assert section.curves[0].x == [1.0, 2.0]
    compute, time = section.more
    assert (compute.axes[0], compute.curves[0].x) == ("TFLOPs so far", [2.0, 6.0])
    assert (time.axes[0], time.curves[0].x) == ("minutes of training so far", [1.0, 2.0])
    assert compute.curves[0].mean == time.curves[0].mean == section.curves[0].mean == pytest.approx([0.4, 0.2])


def test_runs_of_a_version_that_measured_less_are_shown(finished_run):
    old = [line(1, 40), line(2, 20)]
    (section,) = sections(group_runs([finished_run("a", seeded(AlmaRecipe, 0), old)]))
    assert "TFLOPs" not in section.beside[0].header
    assert section.more == []
    runs = [finished_run("b", seeded(AlmaRecipe, 0), old), finished_run("c", seeded(LureRecipe, 0), records(40, 10))]
    (section,) = sections(group_runs(runs))
    (beside,) = section.beside
    at = beside.header.index("TFLOPs") - 1
    assert [row.cells[at] for row in beside.rows] == ["", "6"]


def test_seeds_have_a_mean_a_deviation_a_bounded_interval_and_a_paired_difference(finished_run):
    runs = [
        *(finished_run(f"a{i}", seeded(AlmaRecipe, i), records(a, b)) for i, (a, b) in enumerate([(90, 90), (5, 5)])),
        *(finished_run(f"l{i}", seeded(LureRecipe, i), records(a, b)) for i, (a, b) in enumerate([(89, 89), (4, 4)])),
    ]
    (section,) = sections(group_runs(runs))
    section = with_differences(with_intervals(section))
    alma = dict(zip(section.header[1:], section.rows[0].cells, strict=True))
    assert alma["errors, images"] == "95 ± 120"
    assert alma["cumulative error, images: mean (95 % interval)"] == "95.0 (0.0 to 200.0)"  # of 2 times 100 images
    differences = section.beside[-1]
    assert differences.title == "Cumulative error, minus that of ALMA (warm start)"
    assert differences.header[1] == "difference, images"
    assert [(row.label, row.cells[0]) for row in differences.rows] == [("LURE", "-2.0")]
    low, high = band(section.curves[0], section.band)
    assert (low, high) == ([0.0, 0.0], [100.0, 100.0])  # with two seeds it would reach far beyond
    assert draw([section]).startswith(b"\x89PNG")


def test_a_band_is_students_interval_where_it_fits(finished_run):
    runs = [finished_run(f"a{i}", seeded(AlmaRecipe, i), records(49 + i, 20)) for i in range(3)]
    (section,) = sections(group_runs(runs))
    low, high = band(section.curves[0], "interval")
    assert (low[0], high[0]) == pytest.approx((50 - 4.3027 / 3**0.5, 50 + 4.3027 / 3**0.5), abs=1e-3)
    assert (low[1], high[1]) == pytest.approx((20.0, 20.0))
    assert band(section.curves[0], "range")[0] == pytest.approx([49.0, 20.0])


def test_robust_and_other_streams_have_tables_of_their_own(finished_run):
    robust = [{**record, "test/robust": 0.3} for record in records(40, 20)]
    attacked = seeded(AlmaRecipe, 0, learning=LearningConfig(adversarial=True))
    runs = [
        finished_run("a", seeded(AlmaRecipe, 0), records(40, 20)),
        finished_run("b", attacked, robust),
        finished_run("c", AlmaRecipe(stream=StreamConfig(megabatches=2, megabatch_size=50)), records(40, 20)),
    ]
    made = sections(group_runs(runs))
    assert len(made) == 3
    assert ["final robust accuracy, %" in section.beside[0].header for section in made] == [False, True, False]
    assert made[1].rows[0].label == "ALMA (warm start) under attack"


def test_runs_that_met_more_megabatches_than_others_can_be_drawn(finished_run):
    runs = [
        finished_run("a", seeded(AlmaRecipe, 0), records(40, 20)),
        finished_run("b", seeded(AlmaRecipe, 1), [*records(40, 20), line(3, 10, flops=1e12)]),
    ]
    (section,) = sections(group_runs(runs))
    assert len(section.curves[0].x) == 2
    assert section.rows[0].values == [60.0, 70.0]


def test_the_rule_that_moves_weights_stands_in_the_label(finished_run):
    runs = [
        finished_run(rule, seeded(LureRecipe, 0, learning=LearningConfig(optimizer_rule=rule)), records(40, 20))
        for rule in ("sgd", "amp")
    ]
    (section,) = sections(group_runs(runs))
    assert [row.label for row in section.rows] == ["LURE", "LURE with AMP"]
