"""What a run would not do is told before it begins."""

from dataclasses import replace

import pytest

import lethe
from lethe.data import DataConfig
from lethe.engine import Observer, ScheduleConfig
from lethe.evaluate import EvaluationConfig
from lethe.methods import FOMOConfig, SWAConfig
from lethe.optim import AMPUnderAttackConfig, AWPConfig, RWPConfig
from lethe.recipes import ATRecipe, ATSWARecipe, AWPRecipe, FOMORecipe, KDSWARecipe, RWPRecipe, SGDRecipe
from lethe.recipes._adversarial import WeightsConfig

AUTO = FOMOConfig(auto_start=True, patience=2)


@pytest.mark.parametrize(
    ("kind", "sections", "message"),
    [
        (ATSWARecipe, {"swa": SWAConfig(swa_start=0.9)}, "swa-start 0.9 of 4 epochs is after the last one"),
        (AWPRecipe, {"awp": AWPConfig(awp_warmup=4)}, "awp-warmup is 4 epochs, the run 4"),
        (RWPRecipe, {"rwp": RWPConfig(rwp_warmup=5)}, "rwp-warmup is 5 epochs, the run 4"),
        (
            FOMORecipe,
            {"weights": WeightsConfig(weights="awp"), "awp": AWPConfig(awp_warmup=4)},
            "awp-warmup is 4 epochs, the run 4",
        ),
        (FOMORecipe, {"fomo": FOMOConfig(start=1.0)}, "so nothing would be forgotten"),
        (FOMORecipe, {"fomo": replace(AUTO, patience=3)}, "patience 3 comes after 4 epochs at the earliest"),
        (
            FOMORecipe,
            {"fomo": replace(AUTO, patience=1), "evaluation": EvaluationConfig(eval_every=2)},
            "patience 1 comes after 4 epochs",
        ),
    ],
)
def test_a_method_that_could_never_act_is_refused(tiny, tmp_path, kind, sections, message):
    with pytest.raises(lethe.LetheError, match=message):
        tiny(kind, tmp_path / "run", epochs=4, **sections).execute()
    assert not (tmp_path / "run").exists()


class Listens(Observer):
    def __init__(self):
        self.heard = []

    def say(self, message):
        self.heard.append(message)


@pytest.mark.parametrize(
    ("kind", "sections", "heard"),
    [
        (
            FOMORecipe,
            {
                "fomo": FOMOConfig(
                    start=0.0,
                    patience=3,
                    forget_only=("linear.weight",),
                    later_layers=0.5,
                    decay=0.9,
                    average_phases=3,
                    dormant_tau=0.2,
                    criterion_images=9,
                    average_probability=0.5,
                )
            },
            [
                "--patience (the start is not automatic) acts on nothing",
                "--later-layers (forget_only says what) acts on nothing",
                "--criterion-images (random looks at no images) acts on nothing",
                "--dormant-tau (the criterion is random) acts on nothing",
                "--average-phases (a decay is given) acts on nothing",
                "--average-probability (the average is per step) acts on nothing",
            ],
        ),
        (
            FOMORecipe,
            {"fomo": FOMOConfig(start=0.0, criterion="whole", granularity="layers", consistency=0.0, distance="mse")},
            [
                "--granularity (whole counts nothing) acts on nothing",
                "--distance (there is no consistency loss) acts on nothing",
            ],
        ),
        (FOMORecipe, {"awp": AWPConfig(awp_gamma=0.5)}, ["--awp-gamma (weights are moved by sgd) acts on nothing"]),
        (
            FOMORecipe,
            {"weights": WeightsConfig(weights="awp"), "amp": AMPUnderAttackConfig(amp_epsilon=0.5)},
            ["--amp-epsilon (weights are moved by awp) acts on nothing"],
        ),
        (
            ATRecipe,
            {"schedule": ScheduleConfig(epochs=1, schedule="constant", milestones=(0.3,), cyclic_peak=0.2)},
            [
                "--milestones (the schedule is constant) acts on nothing",
                "--cyclic-peak (the schedule is constant) acts on nothing",
            ],
        ),
        (ATRecipe, {"schedule": ScheduleConfig(epochs=1, milestones=(0.3,), gamma=0.2)}, []),
    ],
)
def test_an_option_that_acts_on_nothing_is_said(tiny, tmp_path, kind, sections, heard):
    observer = Listens()
    tiny(kind, tmp_path / "run", epochs=1, **sections).execute(observer=observer)
    assert observer.heard == heard


@pytest.mark.parametrize(
    ("epochs", "period", "auto", "said"),
    [(4, 3, False, True), (4, 2, False, False), (5, 3, False, False), (2, 1, False, False), (4, 3, True, False)],
)
def test_a_forgetting_that_is_not_relearnt_is_said(tiny, epochs, period, auto, said):
    fomo = FOMOConfig(start=0.0, period=period, auto_start=auto)
    assert (
        any("begins with a forgetting" in line for line in tiny(FOMORecipe, epochs=epochs, fomo=fomo).remarks()) is said
    )


def test_a_teacher_has_to_be_finished(tiny, tmp_path):
    recipe = tiny(KDSWARecipe, tmp_path / "student")
    teacher, _ = tiny(ATRecipe, tmp_path / "unfinished", epochs=1).execute()
    (teacher.path / "summary.json").unlink()
    recipe = replace(recipe, distillation=replace(recipe.distillation, robust_teacher=str(teacher.path)))
    with pytest.raises(lethe.LetheError, match=r"unfinished' is not finished: go on with lethe train --resume"):
        recipe.execute()


def test_an_empty_validation_part_is_named(tiny, tmp_path):
    recipe = tiny(SGDRecipe, tmp_path / "run")
    splits = lethe.data.load(recipe.data)
    empty = replace(splits, validation=splits.validation.subset([]))
    with pytest.raises(lethe.LetheError, match="no validation image, by which the best epoch is chosen"):
        recipe.build(empty)


def test_classes_of_a_teacher_are_looked_at(tiny, tmp_path):
    recipe = tiny(KDSWARecipe, tmp_path / "student", data=DataConfig(train_size=100, validation_size=50, test_size=60))
    teacher, _ = tiny(ATRecipe, tmp_path / "named", epochs=1, data=recipe.data).execute()
    (teacher.path / "classes.json").write_text('{"classes": ["cat", "dog"]}\n')
    recipe = replace(recipe, distillation=replace(recipe.distillation, robust_teacher=str(teacher.path)))
    with pytest.raises(lethe.LetheError, match="take a teacher of the same classes"):
        recipe.execute()
