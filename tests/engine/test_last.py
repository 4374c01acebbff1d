"""The checkpoint that a run goes on from: damaged, of another config, hostile, missing, and the one before it."""

import json
import os
import pickle
from dataclasses import replace

import pytest
import torch

import lethe
from lethe.engine import Observer, RunDirectory, load_checkpoint
from lethe.engine._last import load_last, save_last
from lethe.optim import SGDConfig
from lethe.recipes import AlmaRecipe, LureRecipe, SGDRecipe


class Notes(Observer):
    """Keeps what the run says, and asks for a stop in the middle of epoch 3."""

    def __init__(self, stops=False):
        self.stops, self.said, self.done = stops, [], 0.0

    def step(self, epochs):
        self.done = epochs

    def stop_asked(self):
        return self.stops and self.done > 2.5

    def say(self, message):
        self.said.append(message)


def cut(path):
    path.write_bytes(path.read_bytes()[:-1000])


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def empty(path):
    path.write_bytes(b"")


def remove(path):
    path.unlink()


def without_seconds(directory):
    return [{**record, "seconds": 0} for record in directory.records()]


@pytest.fixture(params=[SGDRecipe, LureRecipe], ids=["train", "anytime"])
def stopped(request, tiny, tmp_path):
    """A recipe, a run of it that was stopped within an epoch, and one that nobody stopped."""
    recipe = tiny(request.param, tmp_path / "run", epochs=4)
    alone, _ = tiny(request.param, tmp_path / "alone", epochs=4).execute()
    with pytest.raises(KeyboardInterrupt):
        recipe.execute(observer=Notes(stops=True))
    return recipe, RunDirectory.open(tmp_path / "run"), alone


@pytest.mark.parametrize("damage", [cut, flip_a_bit, empty, remove])
def test_a_damaged_checkpoint_is_told_and_the_one_before_it_goes_on_to_the_same_bits(stopped, damage, assert_same_bits):
    recipe, run, alone = stopped
    damage(run.checkpoint("last"))
    notes = Notes()
    recipe.execute(resume=run, observer=notes)
    (said,) = notes.said
    assert str(run.checkpoint("last")) in said
    assert "Going on from the one before it" in said
    assert without_seconds(run) == without_seconds(alone)
    for path in (alone.path / "checkpoints").iterdir():
        assert_same_bits(load_checkpoint(run.checkpoint(path.stem)), load_checkpoint(path))


def test_two_damaged_checkpoints_are_an_error_that_says_what_to_do(stopped):
    recipe, run, _ = stopped
    metrics = (run.path / "metrics.jsonl").read_bytes()
    for name in ("last", "last-previous"):
        cut(run.checkpoint(name))
    with pytest.raises(lethe.LetheError, match=r"last\.pt' cannot be read .* no good one before it .* --config"):
        recipe.execute(resume=run)
    run.checkpoint("last-previous").unlink()
    with pytest.raises(lethe.LetheError, match=r"last\.pt' cannot be read"):
        recipe.execute(resume=run)
    assert (run.path / "metrics.jsonl").read_bytes() == metrics


def test_a_hostile_checkpoint_does_not_run(stopped, tmp_path):
    class Harm:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "harmed"),)

    recipe, run, _ = stopped
    run.checkpoint("last-previous").unlink()
    for hostile in (
        lambda path: torch.save({"model": Harm()}, path),
        lambda path: path.write_bytes(pickle.dumps(Harm())),
    ):
        hostile(run.checkpoint("last"))
        with pytest.raises(lethe.LetheError, match=r"last\.pt' cannot be read"):
            recipe.execute(resume=run)
    assert not (tmp_path / "harmed").exists()


def test_a_checkpoint_of_another_config_is_an_error_that_names_the_option(stopped, tiny, tmp_path):
    recipe, run, _ = stopped
    other = tiny(type(recipe), tmp_path / "other", epochs=4, sgd=SGDConfig(lr=0.01))
    with pytest.raises(KeyboardInterrupt):
        other.execute(observer=Notes(stops=True))
    mine, theirs = run.checkpoint("last"), RunDirectory.open(tmp_path / "other").checkpoint("last")
    kept = mine.read_bytes()
    mine.write_bytes(theirs.read_bytes())
    with pytest.raises(lethe.LetheError, match=r"is of another config: it was made with lr 0\.01, .* has 0\.05"):
        recipe.execute(resume=run)
    mine.write_bytes(kept)
    recipe.execute(resume=run)


def test_a_checkpoint_of_the_other_command_is_an_error(tiny, tmp_path):
    runs = {}
    for kind in (SGDRecipe, AlmaRecipe):
        recipe = tiny(kind, tmp_path / kind.name)
        runs[kind] = recipe, recipe.execute()[0]
    (sgd, one), (alma, two) = runs.values()
    one.checkpoint("last").write_bytes(two.checkpoint("last").read_bytes())
    with pytest.raises(lethe.LetheError, match=r"is of another config: it was made with recipe alma, .* has sgd"):
        sgd.execute(resume=one)
    state = load_checkpoint(two.checkpoint("last"))
    del state["config"]  # as of version 0.1.0
    for name, recipe, run in (("place", alma, two), ("epoch", sgd, one)):
        torch.save({key: value for key, value in state.items() if key != name}, run.checkpoint("last"))
        with pytest.raises(lethe.LetheError, match="does not fit the run's config"):
            recipe.execute(resume=run)


def test_where_things_lie_may_change_between_stop_and_resume(stopped):
    recipe, run, alone = stopped
    config = run.config()
    config["run"]["checkpoint_minutes"], config["data"]["data_dir"] = 0.0, "moved"
    (run.path / "config.json").write_text(json.dumps(config))
    moved = replace(recipe, run=replace(recipe.run, checkpoint_minutes=0.0))
    moved.execute(resume=run)
    assert without_seconds(run) == without_seconds(alone)


def test_a_finished_run_keeps_no_checkpoint_to_fall_back_to(stopped):
    _, run, alone = stopped
    assert run.checkpoint("last-previous").is_file()
    assert not alone.checkpoint("last-previous").exists()


@pytest.mark.parametrize("links", [True, False])
def test_the_one_before_is_one_generation_back(tmp_path, monkeypatch, links):
    if not links:  # as on a file system that has none

        def refuse(*_):
            raise PermissionError

        monkeypatch.setattr(os, "link", refuse)
    run = RunDirectory.create(tmp_path / "run", {"recipe": "sgd"}, torch.device("cpu"))
    assert load_last(run, Observer()) is None
    for step in range(4):
        save_last(run, {"step": step})
        assert load_last(run, Observer())["step"] == step
        if step:
            assert load_checkpoint(run.checkpoint("last-previous"))["step"] == step - 1
    assert sorted(path.name for path in run.checkpoint("last").parent.iterdir()) == ["last-previous.pt", "last.pt"]
    empty(run.checkpoint("last"))
    assert load_last(run, Observer())["step"] == 2
    save_last(run, {"step": 3})  # the damaged one must not take the good one's place
    assert load_checkpoint(run.checkpoint("last-previous"))["step"] == 2
