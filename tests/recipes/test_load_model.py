"""A run's network comes back ready to be evaluated."""

import pytest
import torch

import lethe
from lethe.data import DataConfig, facts, load
from lethe.engine import RunDirectory, save_checkpoint
from lethe.evaluate import accuracy
from lethe.models import ModelConfig, build
from lethe.recipes import AlmaRecipe, FOMORecipe, SGDRecipe, load_model
from lethe.recipes._load_model import checkpoint_of


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
    with pytest.raises(lethe.LetheError, match="no checkpoint 'megabatch-3'; it has: last, megabatch-1, megabatch-2"):
        load_model(tmp_path / "run", "megabatch-3")


def test_the_best_of_an_anytime_run_is_that_after_its_last_megabatch(tmp_path):
    directory = RunDirectory.create(tmp_path / "run", AlmaRecipe().options(), torch.device("cpu"))
    assert checkpoint_of(directory, "best") == "best"  # which is not there, and that is told
    network = build(ModelConfig(), *facts("digits"))
    for number in (1, 2, 9, 10):
        save_checkpoint(directory.checkpoint(f"megabatch-{number}"), {"model": network.state_dict()})
    (directory.path / "checkpoints" / "megabatch-x.pt").write_bytes(b"")
    assert checkpoint_of(directory, "best") == "megabatch-10"
    assert checkpoint_of(directory, "megabatch-2") == "megabatch-2"
    x = torch.rand(2, 1, 8, 8)
    assert torch.equal(load_model(tmp_path / "run")(x), network.eval()(x))


@pytest.mark.parametrize(("name", "image_size"), [("test_vit", None), ("test_vit", 16), ("test_resnet", None)])
def test_a_network_of_timm_comes_back_for_images_of_the_same_size(name, image_size, tmp_path):
    pytest.importorskip("timm")
    data = DataConfig(dataset="cifar10", image_size=image_size)
    recipe = SGDRecipe(data=data, model=ModelConfig(model=f"timm:{name}"))
    directory = RunDirectory.create(tmp_path / "run", recipe.options(), torch.device("cpu"))
    side = image_size or 32
    trained = build(recipe.model, *facts("cifar10"), side)
    save_checkpoint(directory.checkpoint("best"), {"model": trained.state_dict()})
    x = torch.rand(2, 3, side, side)
    assert torch.equal(load_model(tmp_path / "run")(x), trained.eval()(x))


def test_a_network_of_timm_is_trained(tiny, tmp_path):
    pytest.importorskip("timm")
    recipe = tiny(SGDRecipe, tmp_path / "run", epochs=1, model=ModelConfig(model="timm:test_resnet"))
    _, records = recipe.execute()
    assert accuracy(load_model(tmp_path / "run"), load(recipe.data).test) == records[-1]["test/clean"]
