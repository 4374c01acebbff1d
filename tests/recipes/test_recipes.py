"""What recipes need and where their runs go."""

import pytest

import lethe
from lethe.data import DataConfig
from lethe.recipes import AlmaRecipe, SGDRecipe, StreamConfig


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
