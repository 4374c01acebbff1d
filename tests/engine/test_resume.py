"""Stop anywhere, start again: the same bits as without the stop."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import lethe
from lethe.engine import Observer, RunDirectory, ScheduleConfig, Stopped, load_checkpoint, save_checkpoint
from lethe.recipes import TRAIN_RECIPES, AMPRecipe, ATRecipe, FOMORecipe, KDSWARecipe, SGDRecipe


class StopsAtRecord(Observer):
    """Stops right after epoch 2 is recorded and saved."""

    def record(self, record):
        if record["epoch"] == 2:
            raise KeyboardInterrupt


class StopsInStep(Observer):
    """Stops in the middle of epoch 3: weights have moved that no checkpoint has."""

    def step(self, epochs):
        if epochs > 2.5:
            raise KeyboardInterrupt


class AsksToStop(Observer):
    """Asks for a stop in the middle of epoch 3; the run saves that step and stops."""

    def step(self, epochs):
        self.asks = epochs > 2.5

    def stop_asked(self):
        return self.asks


def without_seconds(records):
    return [{name: value for name, value in record.items() if name != "seconds"} for record in records]


@pytest.fixture(scope="module", params=list(TRAIN_RECIPES))
def left_alone(request, tiny, tmp_path_factory):
    """A kind of recipe, and a run of it over 4 epochs that nobody stopped."""
    kind = TRAIN_RECIPES[request.param]
    directory, _ = tiny(kind, tmp_path_factory.mktemp("alone") / "run", epochs=4).execute()
    return kind, directory


@pytest.mark.parametrize("observer", [StopsAtRecord, StopsInStep])
def test_a_run_that_was_stopped_and_resumed_equals_one_left_alone(
    left_alone, observer, tiny, tmp_path, assert_same_bits
):
    kind, alone = left_alone
    recipe = tiny(kind, tmp_path / "run", epochs=4)
    with pytest.raises(KeyboardInterrupt):
        recipe.execute(observer=observer())
    stopped = RunDirectory.open(tmp_path / "run")
    assert stopped.summary() is None
    assert load_checkpoint(stopped.checkpoint("last"))["epoch"] == 2
    resumed, records = recipe.execute(resume=stopped)
    assert without_seconds(resumed.records()) == without_seconds(alone.records()) == without_seconds(records)
    assert resumed.summary() == alone.summary()
    checkpoints = sorted(path.name for path in (alone.path / "checkpoints").iterdir())
    assert sorted(path.name for path in (resumed.path / "checkpoints").iterdir()) == checkpoints
    for name in checkpoints:
        one, two = (load_checkpoint(run.path / "checkpoints" / name) for run in (resumed, alone))
        assert_same_bits(one, two)


def test_a_run_that_was_asked_to_stop_goes_on_from_that_step(left_alone, tiny, tmp_path, assert_same_bits):
    kind, alone = left_alone
    recipe = tiny(kind, tmp_path / "run", epochs=4)
    with pytest.raises(Stopped):
        recipe.execute(observer=AsksToStop())
    stopped = RunDirectory.open(tmp_path / "run")
    kept = load_checkpoint(stopped.checkpoint("last"))
    assert (kept["epoch"], kept["progress"]["batches"], kept["progress"]["seen"]) == (2, 2, 64)
    shares = []

    class Notes(Observer):
        def step(self, epochs):
            shares.append(epochs)

    resumed, _ = recipe.execute(resume=stopped, observer=Notes())
    assert shares[1] == 2.96  # not the two steps that were done: the third, of the images 65 to 96
    assert without_seconds(resumed.records()) == without_seconds(alone.records())
    for path in (alone.path / "checkpoints").iterdir():
        assert_same_bits(load_checkpoint(resumed.checkpoint(path.stem)), load_checkpoint(path))


def test_a_run_that_stops_before_an_evaluation_makes_it_when_it_goes_on(left_alone, tiny, tmp_path, assert_same_bits):
    kind, alone = left_alone

    class AsksAfterEpochTwo(Observer):
        calls = 0

        def stop_asked(self):  # an epoch asks after each of four steps, before its evaluation, and after it
            self.calls += 1
            return self.calls == 11

    recipe = tiny(kind, tmp_path / "run", epochs=4)
    with pytest.raises(Stopped):
        recipe.execute(observer=AsksAfterEpochTwo())
    stopped = RunDirectory.open(tmp_path / "run")
    kept = load_checkpoint(stopped.checkpoint("last"))
    assert (kept["epoch"], kept["trained"]["epoch"], len(stopped.records())) == (2, 2, 1)
    resumed, _ = recipe.execute(resume=stopped)
    assert without_seconds(resumed.records()) == without_seconds(alone.records())
    for path in (alone.path / "checkpoints").iterdir():
        assert_same_bits(load_checkpoint(resumed.checkpoint(path.stem)), load_checkpoint(path))


@pytest.mark.parametrize("kind", [ATRecipe, FOMORecipe, AMPRecipe, KDSWARecipe])
def test_a_run_that_saves_each_step_and_crashes_at_any_ends_with_the_same_bits(
    kind, tiny, tmp_path, assert_same_bits, monkeypatch
):
    """Twelve crashes, some between a checkpoint's writing and its moving into place."""
    alone, _ = tiny(kind, tmp_path / "alone").execute()
    draw, done = random.Random(0), False
    recipe = tiny(kind, tmp_path / "run")
    recipe = replace(recipe, run=replace(recipe.run, checkpoint_minutes=0.0))
    directory = None
    for crash in range(12):
        left = draw.randrange(1, 4)
        in_save = crash % 3 == 2

        class Crash(Exception):
            pass

        def may_crash(*anything):
            nonlocal left
            left -= 1
            if left == 0:
                raise Crash

        class Crashes(Observer):
            step = staticmethod(lambda *anything: None) if in_save else may_crash

        with monkeypatch.context() as patch:
            if in_save:  # the file is written aside, and then the machine stops
                move = Path.replace
                patch.setattr(Path, "replace", lambda *paths, move=move: may_crash() or move(*paths))
            try:
                recipe.execute(observer=Crashes(), resume=directory)
                done = True
            except Crash:
                pass
        if done:
            break
        directory = RunDirectory.open(tmp_path / "run")
    resumed = directory if done else recipe.execute(resume=directory)[0]
    assert crash >= 3
    assert without_seconds(resumed.records()) == without_seconds(alone.records())
    for path in (alone.path / "checkpoints").iterdir():
        assert_same_bits(load_checkpoint(resumed.checkpoint(path.stem)), load_checkpoint(path))


@pytest.mark.parametrize("schedule", ["cosine", "cyclic"])
def test_a_schedule_by_step_goes_on_in_the_middle_of_an_epoch(schedule, tiny, tmp_path, assert_same_bits):
    """Where the rate that an epoch's record names is not the one that it is resumed with."""
    by_step = ScheduleConfig(epochs=4, batch_size=32, schedule=schedule)
    alone, _ = tiny(SGDRecipe, tmp_path / "alone", schedule=by_step).execute()
    recipe = tiny(SGDRecipe, tmp_path / "run", schedule=by_step)
    with pytest.raises(Stopped):
        recipe.execute(observer=AsksToStop())
    resumed, _ = recipe.execute(resume=RunDirectory.open(tmp_path / "run"))
    assert without_seconds(resumed.records()) == without_seconds(alone.records())
    assert_same_bits(*(load_checkpoint(run.checkpoint("last")) for run in (resumed, alone)))


@pytest.mark.parametrize("observer", [StopsAtRecord, AsksToStop])
def test_a_checkpoint_whose_schedule_counted_epochs_is_gone_on_with(observer, tiny, tmp_path, assert_same_bits):
    alone, _ = tiny(SGDRecipe, tmp_path / "alone", epochs=4).execute()
    recipe = tiny(SGDRecipe, tmp_path / "run", epochs=4)
    with pytest.raises(KeyboardInterrupt):
        recipe.execute(observer=observer())
    stopped = RunDirectory.open(tmp_path / "run")
    state = load_checkpoint(stopped.checkpoint("last"))
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.05)
    old = torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 3], 0.1)
    for _ in range(2):
        optimizer.step()
        old.step()
    state["scheduler"] = old.state_dict()
    if state["progress"] is not None:
        del state["progress"]["lr"]
    save_checkpoint(stopped.checkpoint("last"), state)
    resumed, _ = recipe.execute(resume=stopped)
    assert without_seconds(resumed.records()) == without_seconds(alone.records())
    assert_same_bits(*(load_checkpoint(run.checkpoint("last")) for run in (resumed, alone)))


def test_the_checkpoint_holds_everything_that_moves(left_alone):
    kind, alone = left_alone
    state = load_checkpoint(alone.checkpoint("last"))
    assert set(state) > {"epoch", "model", "optimizer", "scheduler", "method", "generators"}
    assert set(state["generators"]) == {"data", "attack", "method"}
    assert "momentum_buffer" in str(state["optimizer"])
    if issubclass(kind, FOMORecipe):
        assert "stable" in state["method"]
        assert alone.checkpoint("best-stable").is_file()


def test_a_line_written_just_before_the_crash_is_made_again(tiny, tmp_path):
    recipe = tiny(SGDRecipe, tmp_path / "run", epochs=3)
    with pytest.raises(KeyboardInterrupt):
        recipe.execute(observer=StopsAtRecord())
    stopped = RunDirectory.open(tmp_path / "run")
    stopped.append({"epoch": 3, "validation/clean": 2.0})  # the crash came between the line and the checkpoint
    with (stopped.path / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 4, "val')
    resumed, _ = recipe.execute(resume=stopped)
    assert [record["epoch"] for record in resumed.records()] == [1, 2, 3]
    assert all(record["validation/clean"] <= 1 for record in resumed.records())


def test_a_resume_says_how_far_the_run_is(tiny, tmp_path):
    class Notes(Observer):
        def __init__(self):
            self.steps = []

        def step(self, epochs):
            self.steps.append(epochs)

    recipe, notes = tiny(SGDRecipe, tmp_path / "run", epochs=3), Notes()
    with pytest.raises(KeyboardInterrupt):
        recipe.execute(observer=StopsAtRecord())
    recipe.execute(resume=RunDirectory.open(tmp_path / "run"), observer=notes)
    assert notes.steps[0] == 2
    assert notes.steps == sorted(notes.steps)
    assert notes.steps[-1] == 3


def test_a_run_stopped_before_its_first_checkpoint_begins_anew(tiny, tmp_path):
    recipe = tiny(SGDRecipe, tmp_path / "run")
    empty = RunDirectory.create(tmp_path / "run", recipe.options(), torch.device("cpu"))
    empty.append({"epoch": 1})  # written, but the checkpoint was not
    said = []

    class Hears(Observer):
        def say(self, message):
            said.append(message)

    _, resumed = recipe.execute(resume=empty, observer=Hears())
    assert said == [f"no checkpoint in {str(empty.path)!r}, though 1 epochs were recorded: it begins anew"]
    _, alone = tiny(SGDRecipe, tmp_path / "alone").execute()
    assert [r["train/loss"] for r in resumed] == [r["train/loss"] for r in alone]
    assert [r["epoch"] for r in empty.records()] == [1, 2]


def test_a_checkpoint_of_another_network_is_a_clear_error(tiny, tmp_path):
    tiny(SGDRecipe, tmp_path / "run").execute()
    wider = tiny(SGDRecipe, tmp_path / "run", model=lethe.models.ModelConfig(width=5))
    with pytest.raises(lethe.LetheError, match="does not fit the run's config"):
        wider.execute(resume=RunDirectory.open(tmp_path / "run"))
