"""Which runs belong together, and what their group is called."""

import json
from dataclasses import replace

import pytest

import lethe
from lethe.attacks import PGD
from lethe.engine import RunConfig, ScheduleConfig
from lethe.methods import FOMOConfig
from lethe.objectives import DistillationConfig, ObjectiveConfig
from lethe.optim import AMPConfig, AWPConfig, SGDConfig
from lethe.recipes import (
    TRAIN_RECIPES,
    AMPRecipe,
    ATRecipe,
    AWPRecipe,
    FOMORecipe,
    KDSWARecipe,
    RMPRecipe,
    SGDRecipe,
    TRADESRecipe,
    with_defaults,
)
from lethe.recipes._adversarial import WeightsConfig
from lethe.report import group_runs, provenance, sections


def seeded(recipe, seed, device="auto"):
    return replace(recipe, run=RunConfig(seed=seed, device=device))


def test_runs_that_differ_in_nothing_but_the_seed_are_one_group(finished_run):
    runs = [finished_run(f"run{seed}", seeded(SGDRecipe(), seed)) for seed in (2, 0, 1)]
    (group,) = group_runs(runs)
    assert (group.label, group.recipe, group.seeds) == ("SGD", "sgd", [2, 0, 1])
    assert group.runs == [run.records() for run in runs]
    assert group.options == runs[0].config()


def test_the_device_makes_no_other_group(finished_run):
    runs = [finished_run("a", seeded(SGDRecipe(), 0, "cpu")), finished_run("b", seeded(SGDRecipe(), 1, "auto"))]
    assert len(group_runs(runs)) == 1


def test_groups_stay_in_the_order_given_and_one_of_a_kind_has_a_plain_name(finished_run):
    runs = [finished_run("amp", AMPRecipe()), finished_run("sgd", SGDRecipe())]
    assert [group.label for group in group_runs(runs)] == ["AMP", "SGD"]


def test_two_configs_of_a_recipe_are_told_apart_by_what_differs(finished_run):
    small, large = AMPRecipe(amp=AMPConfig(epsilon=0.25)), AMPRecipe(amp=AMPConfig(epsilon=1.0))
    runs = [finished_run("small", small), finished_run("large", large), finished_run("sgd", SGDRecipe())]
    assert [group.label for group in group_runs(runs)] == ["AMP, epsilon 0.25", "AMP, epsilon 1.0", "SGD"]


def test_by_folder_rows_are_called_as_their_runs_without_the_seed(finished_run):
    small, large = AMPRecipe(amp=AMPConfig(epsilon=0.25)), AMPRecipe(amp=AMPConfig(epsilon=1.0))
    names = {"small-seed0": seeded(small, 0), "other": seeded(small, 1), "large-3": seeded(large, 3)}
    names["plain/seed2"], names["v0.1"] = seeded(SGDRecipe(), 2), seeded(ATRecipe(), 1)
    runs = [finished_run(name, recipe) for name, recipe in names.items()]
    groups = group_runs(runs, by_folder=True)
    assert [group.label for group in groups] == ["small", "large", "plain", "v0.1"]
    standard = sections(groups[:3])[0]
    assert [row.label for row in standard.rows] == ["small", "large", "plain"]
    assert "small (AMP, epsilon 0.25): n = 2, seeds 0, 1;" in provenance(groups)[0]


def test_by_folder_two_rows_of_one_name_are_refused(finished_run):
    runs = [finished_run("a-seed0", AMPRecipe()), finished_run("b/a-seed0", SGDRecipe())]
    with pytest.raises(lethe.LetheError, match="would both be called 'a': rename their folders"):
        sections(group_runs(runs, by_folder=True))


def test_every_option_that_differs_is_named(finished_run):
    one = SGDRecipe(sgd=SGDConfig(lr=0.1, weight_decay=0.0), schedule=ScheduleConfig(epochs=5))
    two = SGDRecipe(sgd=SGDConfig(lr=0.2, weight_decay=0.1), schedule=ScheduleConfig(epochs=5))
    labels = [group.label for group in group_runs([finished_run("one", one), finished_run("two", two)])]
    assert labels == ["SGD, lr 0.1, weight-decay 0.0", "SGD, lr 0.2, weight-decay 0.1"]


def test_of_many_options_each_row_names_those_in_which_it_differs_from_the_first(finished_run):
    """Ablations: one thing changed at a time."""
    changed = [{}, {"fraction": 0.3}, {"criterion": "snip"}, {"consistency": 0.0}, {"average": "phase", "decay": 0.9}]
    records = [
        {"epoch": 1} | {f"{part}/{metric}": 0.5 for part in ("validation", "test") for metric in ("clean", "robust")}
    ]
    runs = [finished_run(str(n), FOMORecipe(fomo=FOMOConfig(**options)), records) for n, options in enumerate(changed)]
    runs.append(finished_run("at", ATRecipe(schedule=ScheduleConfig(schedule="cosine")), records))
    labels = [group.label for group in group_runs(runs)]
    assert labels == [
        "FOMO, schedule constant",
        *("FOMO, fraction 0.3", "FOMO, criterion snip", "FOMO, consistency 0.0", "FOMO, decay 0.9, average phase"),
        "AT, schedule cosine",
    ]
    (section,) = sections(group_runs(runs))
    assert section.notes[1:] == [
        "FOMO, the first row of it, has criterion random, fraction 0.25, decay unset, average step, consistency 1.0; "
        "the others name in what they differ from it."
    ]
    assert len(sections(group_runs(runs[:2]))[0].notes) == 1


def test_the_same_config_and_seed_twice_is_an_error(finished_run):
    runs = [finished_run("a", ATRecipe(attack=PGD(steps=3))), finished_run("b", ATRecipe(attack=PGD(steps=3)))]
    with pytest.raises(lethe.LetheError, match="two runs of 'at' have the same config and the same seed"):
        group_runs(runs)


def test_a_run_that_is_not_finished_is_an_error_that_names_it(finished_run):
    runs = [finished_run("done"), finished_run("cut", seeded(SGDRecipe(), 1), finish=False)]
    with pytest.raises(lethe.LetheError, match=r"cut' is not finished: leave it out, or"):
        group_runs(runs)


def test_labels_name_what_differs_within_a_recipe_and_what_is_minimised(finished_run):
    awp = AWPRecipe(robust=ObjectiveConfig(objective="trades"), run=RunConfig(seed=0))
    recipes = [ATRecipe(), TRADESRecipe(), awp, AMPRecipe(), RMPRecipe(), AMPRecipe(amp=AMPConfig(epsilon=0.1))]
    groups = group_runs([finished_run(str(i), recipe) for i, recipe in enumerate(recipes)])
    assert [group.label for group in groups] == [
        *("AT", "TRADES", "AT-AWP over TRADES", "AMP, epsilon 0.5", "RMP", "AMP, epsilon 0.1")
    ]


def test_what_nothing_reads_is_not_in_a_label(finished_run):
    pushed = FOMORecipe(weights=WeightsConfig(weights="awp"), awp=AWPConfig(awp_gamma=0.02))
    groups = group_runs([finished_run("a", FOMORecipe()), finished_run("b", pushed)])
    assert [group.label for group in groups] == ["FOMO", "FOMO with AWP, awp-gamma 0.02"]


def test_seeds_with_teachers_of_their_own_belong_together(finished_run):
    runs = []
    for seed in (0, 1):
        teachers = DistillationConfig(clean_teacher=f"runs/sgd-{seed}", robust_teacher=f"runs/at-{seed}")
        recipe = KDSWARecipe(run=RunConfig(seed=seed), distillation=teachers)
        runs.append(finished_run(str(seed), recipe))
    (group,) = group_runs(runs)
    assert (group.label, group.seeds) == ("KD-SWA", [0, 1])


def test_a_run_made_before_an_option_existed_belongs_to_those_made_after(finished_run):
    runs = [finished_run(str(seed), seeded(SGDRecipe(), seed)) for seed in (0, 1)]
    old = runs[0].config()
    del old["data"]["image_size"], old["model"]["dropout"], old["evaluation"]
    (runs[0].path / "config.json").write_text(json.dumps(old))
    assert len(group_runs(runs)) == 2
    (group,) = group_runs(runs, complete=lambda options: with_defaults(options, TRAIN_RECIPES))
    assert (group.label, group.seeds) == ("SGD", [0, 1])
    assert group.options["data"]["image_size"] == SGDRecipe().data.image_size


def test_what_a_newer_version_wrote_is_left_as_it_is():
    for options in (
        {"recipe": "sgd", "sgd": {"lr": 0.3, "sleep": True}, "new": {"x": 1}, "flat": 2},
        {"recipe": "from-the-future", "run": {"seed": 0}},
    ):
        found = with_defaults(options, TRAIN_RECIPES)
        assert {name: found[name] for name in options if name != "sgd"} == {
            name: value for name, value in options.items() if name != "sgd"
        }
        assert found.get("sgd", {}).items() >= options.get("sgd", {}).items()
