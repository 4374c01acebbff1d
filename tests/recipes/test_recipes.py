"""What recipes need and where their runs go."""

from dataclasses import replace

import pytest
import torch

import lethe
from lethe.attacks import PGD
from lethe.data import DataConfig, load
from lethe.evaluate import EvaluationConfig
from lethe.models import ModelConfig
from lethe.objectives import TRADES, ObjectiveConfig
from lethe.optim import SGDConfig
from lethe.recipes import (
    AlmaRecipe,
    ATRecipe,
    AWPRecipe,
    InputATRecipe,
    KDSWARecipe,
    MARTRecipe,
    RWPRecipe,
    SGDRecipe,
    StreamConfig,
    TRADESRecipe,
)


def test_a_run_goes_where_it_is_asked_to_or_to_a_free_name(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert tiny(SGDRecipe, "here").out().as_posix() == "here"
    assert tiny(SGDRecipe, seed=3).out().as_posix() == "runs/sgd-digits-seed3"
    (tmp_path / "runs" / "sgd-digits-seed3").mkdir(parents=True)
    assert tiny(SGDRecipe, seed=3).out().as_posix() == "runs/sgd-digits-seed3-2"


def test_training_needs_validation_images_to_choose_on():
    with pytest.raises(lethe.LetheError, match="validation_size must be at least 1"):
        SGDRecipe(data=DataConfig(validation_size=0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"megabatches": 0}, "megabatches must be at least 1"),
        ({"replay": "ful"}, "Did you mean 'full'"),
        ({"holdout": 0.0}, "holdout must lie between 0 and 1"),
        ({"holdout": 1.0}, "holdout must lie between 0 and 1"),
    ],
)
def test_a_stream_out_of_range_is_refused(options, message):
    with pytest.raises(lethe.LetheError, match=message):
        StreamConfig(**options)


def test_too_few_images_for_the_megabatches_is_an_error_before_anything_is_written(tiny, tmp_path):
    recipe = tiny(AlmaRecipe, tmp_path / "run", stream=StreamConfig(megabatches=20, replay="none"))
    with pytest.raises(lethe.LetheError, match="a megabatch has no validation image"):
        recipe.execute()
    assert not (tmp_path / "run").exists()


def test_trades_and_mart_start_beside_the_image_and_are_evaluated_like_the_others():
    trades, mart, at = TRADESRecipe(), MARTRecipe(), ATRecipe()
    assert (trades.objective(10).attack.loss, trades.objective(10).attack.initial) == ("kl", "normal")
    assert (mart.objective(10).attack.loss, mart.objective(10).attack.initial) == ("ce", "normal")
    assert (trades.objective(10).beta, mart.objective(10).beta) == (6.0, 5.0)
    assert trades.evaluation_attack() == mart.evaluation_attack() == at.evaluation_attack()
    assert at.evaluation_attack().steps == at.evaluation.eval_steps
    assert not at.evaluation_attack().early_stop
    assert replace(at, evaluation=EvaluationConfig(eval_early_stop=True)).evaluation_attack().early_stop


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ATRecipe(attack=PGD(targeted=True)), "made easier"),
        (lambda: InputATRecipe(input_attack=PGD(targeted=True)), "made easier"),
        (lambda: TRADESRecipe(robust=ObjectiveConfig(objective="mart")), "trades minimises trades"),
        (lambda: ObjectiveConfig(beta=3.0), "pgd-at has no beta"),
        (lambda: TRADESRecipe(attack=PGD(loss="margin")).objective(10), "leave random-start and loss out"),
        (lambda: MARTRecipe(attack=PGD(random_start=False)).objective(10), "leave random-start and loss out"),
    ],
)
def test_an_option_that_would_be_ignored_or_do_harm_is_refused(make, message):
    with pytest.raises(lethe.LetheError, match=message):
        make()


def test_rwps_threshold_follows_the_data_set():
    assert RWPRecipe().objective(10).threshold == 1.7
    assert RWPRecipe(data=DataConfig(dataset="cifar100")).objective(100).threshold == 4.0


def test_a_network_that_cannot_take_the_images_is_told_before_anything_is_written(tiny, tmp_path):
    recipe = tiny(SGDRecipe, tmp_path / "run", model=ModelConfig(model="vgg16"))
    with pytest.raises(lethe.LetheError, match="cannot take images of 1x8x8"):
        recipe.execute()
    assert not (tmp_path / "run").exists()


def test_a_teacher_of_another_split_is_refused(tiny):
    recipe = tiny(KDSWARecipe, data=DataConfig(train_size=100, validation_size=50, test_size=60, split_seed=7))
    with pytest.raises(lethe.LetheError, match="trained with split_seed 0, this run has 7"):
        recipe.objective(10)


def test_a_stream_clips_too(tiny, tmp_path):
    ends = []
    for clip in (None, 1e-6):
        recipe = tiny(AlmaRecipe, tmp_path / str(clip), epochs=1, sgd=SGDConfig(lr=0.05, clip_norm=clip))
        ends.append([record["train/loss"] for record in recipe.execute()[1] if "train/loss" in record])
    assert ends[0] != ends[1]


def test_what_goes_with_pgd_at_alone_says_so():
    for kind in (RWPRecipe, KDSWARecipe):
        with pytest.raises(lethe.LetheError, match="goes with pgd-at alone"):
            kind(robust=ObjectiveConfig(objective="trades"))


def test_distillation_without_teachers_says_which_runs_it_wants():
    with pytest.raises(lethe.LetheError, match="kd-swa needs --clean-teacher and --robust-teacher: run directories"):
        KDSWARecipe().objective(10)


def test_awp_goes_over_trades(tiny, tmp_path):
    recipe = tiny(AWPRecipe, tmp_path / "run", epochs=1, robust=ObjectiveConfig(objective="trades"))
    assert isinstance(recipe.objective(10), TRADES)
    _, records = recipe.execute()
    assert 0 <= records[-1]["test/robust"] <= 1


@pytest.mark.parametrize("last", [False, True])
def test_adversarial_training_stores_weights_as_its_attack_says(tiny, last):
    recipe = tiny(ATRecipe, attack=PGD(steps=1, channels_last=last), model=ModelConfig(width=16))
    weight = recipe.build(load(recipe.data)).model.stages[0][0].conv1.weight
    assert weight.is_contiguous(memory_format=torch.channels_last) is last
    assert weight.is_contiguous() is not last
