"""A run's network comes back ready to be evaluated."""

import pytest
import torch

import lethe
from lethe.data import load
from lethe.evaluate import accuracy
from lethe.recipes import AlmaRecipe, FOMORecipe, load_model


def test_a_loaded_model_has_the_accuracies_that_were_recorded(tiny, tmp_path):
    recipe = tiny(FOMORecipe, tmp_path / "run")
    _, records = recipe.execute()
    test = load(recipe.data).test
    last = load_model(tmp_path / "run", "last")
    assert not last.training
    assert accuracy(last, test) == records[-1]["test/clean"]
    best = max(records, key=lambda record: record["stable/validation/robust"])
    assert accuracy(load_model(tmp_path / "run", "best-stable"), test) == best["stable/test/clean"]


def test_a_model_of_an_anytime_run(tiny, tmp_path):
    recipe = tiny(AlmaRecipe, tmp_path / "run")
    _, records = recipe.execute()
    model = load_model(str(tmp_path / "run"), "megabatch-2")
    assert accuracy(model, load(recipe.data).test) == records[-1]["test/clean"]
    assert torch.isfinite(model(torch.rand(2, 1, 8, 8))).all()


def test_a_checkpoint_that_is_not_there_is_an_error_that_names_those_that_are(tiny, tmp_path):
    tiny(AlmaRecipe, tmp_path / "run").execute()
    with pytest.raises(lethe.LetheError, match="no checkpoint 'best'; it has: last, megabatch-1, megabatch-2"):
        load_model(tmp_path / "run")
