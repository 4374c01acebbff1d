"""Which images a run of `lethe anytime` trains and chooses on: never augmented ones to choose, and streamed files."""

import shutil

import pytest
import torch
from folders import write_folder

from lethe.anytime import ArrivingMegabatches
from lethe.data import DataConfig, StreamedSet, load
from lethe.engine import Observer, RunDirectory, Stopped, load_checkpoint
from lethe.evaluate import accuracy
from lethe.recipes import LureRecipe, StreamConfig, load_model

PHOTOS = {"dataset": "imagefolder", "validation_size": 0, "image_size": 16, "workers": 0}


def test_validation_images_are_never_augmented(tiny, tmp_path, monkeypatch):
    def black(x, generator):
        return torch.zeros_like(x)

    recipe = tiny(LureRecipe, tmp_path / "run", epochs=3)
    monkeypatch.setattr(DataConfig, "augmentation", lambda self: black)
    run, records = recipe.execute()
    assert all(r["train/accuracy"] < 0.5 for r in records if "train/accuracy" in r)  # it sees nothing
    splits = load(recipe.data)
    stream = recipe.stream.build(splits, recipe.data)
    model = load_model(run.path, "megabatch-2")
    (best,) = (r["best_epoch"] for r in records if r["megabatch"] == 2 and "best_epoch" in r)
    (chosen,) = (r["validation/clean"] for r in records if r["megabatch"] == 2 and r.get("epoch") == best)
    assert chosen == accuracy(model, splits.train.subset(list(stream[1].validation.indices)))


@pytest.fixture
def photos(tmp_path):
    return write_folder(tmp_path / "photos", counts={"train": 12, "val": 4})


@pytest.mark.parametrize("augment", ["none", "random-resized-crop"])
def test_images_too_many_for_memory_are_streamed_and_give_the_same_bits(
    tiny, photos, tmp_path, monkeypatch, augment, assert_same_bits
):
    def make(name, **stream):
        data = DataConfig(**PHOTOS, data_dir=str(photos), augment=augment)
        stream = StreamConfig(megabatches=2, holdout=0.25, **stream)
        return tiny(LureRecipe, tmp_path / name, data=data, stream=stream)

    options = {"balanced": True, "replay": "published-buffer:3"}  # which may hold an image twice
    alone, _ = make("alone", **options).execute()
    monkeypatch.setattr("lethe.data._image_folder.IN_MEMORY", 0)
    recipe = make("run", **options)
    assert isinstance(load(recipe.data).train, StreamedSet)
    assert isinstance(load(recipe.data).test, StreamedSet)

    class StopsInSecondMegabatch(Observer):
        epochs = 0.0

        def step(self, epochs):
            self.epochs = epochs

        def stop_asked(self):
            return self.epochs > 2

    with pytest.raises(Stopped):
        recipe.execute(observer=StopsInSecondMegabatch())
    run, _ = recipe.execute(resume=RunDirectory.open(tmp_path / "run"))
    for name in ("megabatch-1", "megabatch-2"):
        assert_same_bits(load_checkpoint(run.checkpoint(name)), load_checkpoint(alone.checkpoint(name)))


def test_images_arrive_as_folders_too_and_a_damaged_one_is_set_aside(tiny, photos, tmp_path, monkeypatch):
    incoming = tmp_path / "incoming"
    for name in ("first", "second", "third"):
        shutil.copytree(photos / "train", incoming / name)
    (incoming / "second" / "ant" / "0.png").write_bytes(b"no picture")
    (incoming / "third" / "cat").rename(incoming / "third" / "dog")
    (incoming / "end").touch()
    monkeypatch.setattr(
        "lethe.recipes._stream.ArrivingMegabatches",
        lambda *arguments, **options: ArrivingMegabatches(*arguments, settle_seconds=0.0, **options),
    )
    data = DataConfig(**PHOTOS, data_dir=str(photos))
    stream = StreamConfig(arrivals=str(incoming), order="published")
    run, records = tiny(LureRecipe, tmp_path / "run", data=data, stream=stream).execute()
    wrong = {r["set_aside"]: r["error"] for r in records if "set_aside" in r}
    assert list(wrong) == ["second", "third"]
    assert "0.png' is missing or damaged" in wrong["second"]
    assert wrong["third"] == "it has a folder 'dog', which is no class"
    assert len(run.summary()["test/errors"]) == 1
    assert [r["new_images"] for r in records if "new_images" in r] == [32]


def test_what_does_not_fill_a_megabatch_is_said(tiny, tmp_path, caplog):
    recipe = tiny(LureRecipe, tmp_path / "run", epochs=1, stream=StreamConfig(megabatch_size=30, shots=2))
    _, records = recipe.execute()
    left = sum(1 for message in caplog.messages if "images are left out" in message)
    assert left == 1
    assert len([r for r in records if "test/errors" in r]) == 3
    assert all(r["new_images"] <= 20 for r in records if "new_images" in r)
