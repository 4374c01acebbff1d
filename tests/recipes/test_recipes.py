"""What recipes need and where their runs go."""

import pytest

import lethe
from lethe.data import DataConfig
from lethe.objectives import TRADES, ObjectiveConfig
from lethe.recipes import (
    AlmaRecipe,
    ATRecipe,
    AWPRecipe,
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


def test_an_anytime_run_says_that_it_cannot_be_resumed(tiny, tmp_path):
    recipe = tiny(AlmaRecipe, tmp_path / "run", epochs=1)
    directory, records = recipe.execute()
    assert [record["megabatch"] for record in records if "test/errors" in record] == [1, 2]
    with pytest.raises(lethe.LetheError, match="cannot be resumed yet"):
        recipe.execute(resume=directory)


def test_trades_and_mart_start_beside_the_image_and_are_evaluated_like_the_others():
    trades, mart, at = TRADESRecipe(), MARTRecipe(), ATRecipe()
    assert (trades.objective(10).attack.loss, trades.objective(10).attack.initial) == ("kl", "normal")
    assert (mart.objective(10).attack.loss, mart.objective(10).attack.initial) == ("ce", "normal")
    assert (trades.objective(10).beta, mart.objective(10).beta) == (6.0, 5.0)
    assert trades.evaluation_attack() == mart.evaluation_attack() == at.evaluation_attack()
    assert at.evaluation_attack().steps == at.evaluation.eval_steps


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
