"""Tables by hand: what stands in each cell."""

import statistics
from dataclasses import replace

import pytest

from lethe.attacks import PGD
from lethe.data import DataConfig
from lethe.engine import RunConfig
from lethe.evaluate import EvaluationConfig
from lethe.recipes import AlmaRecipe, AMPRecipe, ATRecipe, FOMORecipe, SGDRecipe
from lethe.report import group_runs, sections
from lethe.report._sections import spread


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([0.5], "50.0"),
        ([0.12345], "12.3"),
        ([0.4, 0.6], "50.0 ± 14.1"),
        ([0.1, 0.1, 0.1], "10.0 ± 0.0"),
        ([-0.01], "-1.0"),
    ],
)
def test_spread_is_the_mean_and_over_seeds_the_sample_deviation(values, text):
    assert spread(values) == text
    if len(values) > 1:
        assert text.endswith(f"{100 * statistics.stdev(values):.1f}")


def clean(validation, test):
    return [
        {"epoch": i, "validation/clean": v, "test/clean": t}
        for i, (v, t) in enumerate(zip(validation, test, strict=True), 1)
    ]


def test_standard_runs_are_read_as_errors_over_seeds(finished_run):
    runs = [
        finished_run("a", replace(SGDRecipe(), run=RunConfig(seed=0)), clean([0.9, 0.5], [0.8, 0.7])),
        finished_run("b", replace(SGDRecipe(), run=RunConfig(seed=1)), clean([0.5, 0.9], [0.6, 0.7])),
    ]
    (section,) = sections(group_runs(runs))
    (row,) = section.rows
    assert section.header == ["method", "best", "last", "gap", "n"]
    # best: 20 % and 30 %; last: 30 % and 30 %; gap in accuracy: 10 and 0 points
    assert row.cells == ["25.0 ± 7.1", "30.0 ± 0.0", "5.0 ± 7.1", "2"]
    assert row.values == pytest.approx([30.0, 30.0])
    assert not section.higher_is_better
    (curve,) = section.curves
    assert curve.x == [1, 2]
    assert curve.mean == pytest.approx([0.3, 0.3])


def test_adversarial_runs_have_a_row_for_the_stable_and_the_working_model(finished_run):
    records = [
        {"epoch": 1, **measured("", 0.5, 0.4, 0.9, 0.8), **measured("stable/", 0.3, 0.3, 0.7, 0.7)},
        {"epoch": 2, **measured("", 0.4, 0.3, 0.95, 0.85), **measured("stable/", 0.6, 0.5, 0.8, 0.75)},
    ]
    (section,) = sections(group_runs([finished_run("fomo", FOMORecipe(), records)]))
    assert [row.label for row in section.rows] == ["FOMO, stable model", "FOMO, working model"]
    # best, last, gap (robust); clean at the end; best on test; n
    assert section.rows[0].cells == ["50.0", "50.0", "0.0", "75.0", "50.0", "1"]
    assert section.rows[1].cells == ["40.0", "30.0", "10.0", "85.0", "40.0", "1"]
    assert "PGD-20, linf, epsilon 8/255" in section.title
    assert section.higher_is_better
    assert [curve.chosen for curve in section.curves] == [2, 1]


def measured(prefix, validation_robust, test_robust, validation_clean, test_clean):
    return {
        f"{prefix}validation/robust": validation_robust,
        f"{prefix}test/robust": test_robust,
        f"{prefix}validation/clean": validation_clean,
        f"{prefix}test/clean": test_clean,
    }


def test_each_kind_of_run_has_its_own_section(finished_run):
    robust = [{"epoch": 1, **measured("", 0.5, 0.4, 0.9, 0.8)}]
    anytime = [{"megabatch": 1, "test/errors": 1, "test/clean": 0.9}]
    runs = [
        finished_run("alma", AlmaRecipe(), anytime),
        finished_run("sgd"),
        finished_run("fomo", FOMORecipe(), robust),
    ]
    titles = [section.title for section in sections(group_runs(runs))]
    assert [" ".join(title.split()[:3]) for title in titles] == [
        "Robust accuracy, %",
        "Test error, %",
        "Test error after",
    ]


def test_runs_under_different_attacks_are_not_put_into_one_table(finished_run):
    records = [{"epoch": 1, **measured("", 0.5, 0.4, 0.9, 0.8)}]
    weak, strong = (replace(ATRecipe(), attack=PGD(epsilon=e / 255)) for e in (4, 8))
    more_steps = replace(ATRecipe(), attack=PGD(epsilon=8 / 255), evaluation=EvaluationConfig(eval_steps=50))
    other_rule = replace(more_steps, evaluation=EvaluationConfig(eval_steps=50, eval_early_stop=True))
    recipes = zip("abcd", (weak, strong, more_steps, other_rule), strict=True)
    runs = [finished_run(name, recipe, records) for name, recipe in recipes]
    titles = [section.title for section in sections(group_runs(runs))]
    assert titles == [
        "Robust accuracy, % (digits, PGD-20, linf, epsilon 4/255)",
        "Robust accuracy, % (digits, PGD-20, linf, epsilon 8/255)",
        "Robust accuracy, % (digits, PGD-50, linf, epsilon 8/255)",
        "Robust accuracy, % (digits, PGD-50, linf, epsilon 8/255, fooled by any step)",
    ]


def test_runs_on_other_images_are_not_put_into_one_table(finished_run):
    records = clean([0.9, 0.5], [0.8, 0.7])
    pooled = replace(AMPRecipe(), data=DataConfig(dataset="cifar10", image_size=16))
    made = sections(group_runs([finished_run("a", SGDRecipe(), records), finished_run("b", pooled, records)]))
    assert [section.title for section in made] == ["Test error, % (digits)", "Test error, % (cifar10 at 16x16)"]
    assert [row.label for section in made for row in section.rows] == ["SGD", "AMP"]


def test_rows_of_one_table_name_the_options_in_which_they_differ(finished_run):
    records = clean([0.9, 0.5], [0.8, 0.7])
    noisy = replace(AMPRecipe(), data=DataConfig(label_noise=0.3))
    (section,) = sections(group_runs([finished_run("a", SGDRecipe(), records), finished_run("b", noisy, records)]))
    assert [row.label for row in section.rows] == ["SGD, label-noise 0.0", "AMP, label-noise 0.3"]


def test_options_that_cannot_change_a_result_do_not_part_runs(finished_run):
    records = clean([0.9, 0.5], [0.8, 0.7])
    other = replace(SGDRecipe(), run=RunConfig(seed=1), evaluation=EvaluationConfig(eval_steps=3, eval_batch_size=7))
    (section,) = sections(group_runs([finished_run("a", SGDRecipe(), records), finished_run("b", other, records)]))
    assert [(row.label, row.cells[-1]) for row in section.rows] == [("SGD", "2")]


def test_seeds_that_stopped_early_share_the_epochs_that_both_have(finished_run):
    runs = [
        finished_run("a", replace(SGDRecipe(), run=RunConfig(seed=0)), clean([0.9, 0.5], [0.8, 0.7])),
        finished_run("b", replace(SGDRecipe(), run=RunConfig(seed=1)), clean([0.5, 0.9, 0.8], [0.6, 0.7, 0.5])),
    ]
    (section,) = sections(group_runs(runs))
    assert section.rows[0].values == pytest.approx([30.0, 50.0])
    (curve,) = section.curves
    assert curve.x == [1, 2]
    assert curve.mean == pytest.approx([0.3, 0.3])


@pytest.mark.parametrize("first", [True, False])
def test_a_seed_that_stopped_before_its_average_began_has_no_stable_model(finished_run, first):
    short = [{"epoch": 1, **measured("", 0.5, 0.4, 0.9, 0.8)}]
    whole = [*short, {"epoch": 2, **measured("", 0.4, 0.3, 0.9, 0.8), **measured("stable/", 0.6, 0.5, 0.8, 0.7)}]
    runs = [
        finished_run(f"seed{seed}", replace(FOMORecipe(), run=RunConfig(seed=seed)), records)
        for seed, records in enumerate([short, whole] if first else [whole, short])
    ]
    (section,) = sections(group_runs(runs))
    stable, working = section.rows
    assert (stable.seeds, stable.values, stable.cells[-1]) == ([int(first)], [50.0], "1")
    assert (working.seeds, working.cells[-1]) == ([0, 1], "2")
    assert [len(curve.seeds) for curve in section.curves] == [1, 2]
