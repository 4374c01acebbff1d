"""Trackers are told of a run; whatever they do, the run goes on."""

import sys
from dataclasses import replace

import pytest
import torch

import lethe
from lethe.cli import main
from lethe.engine import Observer, RunDirectory, load_checkpoint
from lethe.recipes import AlmaRecipe, SGDRecipe
from lethe.report import group_runs
from lethe.track import TRACKERS, TrackConfig


class Notes:
    """Notes what it is told."""

    def __init__(self, run):
        self.run, self.logged, self.closed = run, [], None

    def log(self, numbers, epoch, event):
        self.logged.append((epoch, dict(numbers), event))

    def close(self, *, finished):
        self.closed = finished


class Says(Observer):
    def __init__(self):
        self.said, self.recorded = [], 0

    def record(self, record):
        self.recorded += 1

    def say(self, message):
        self.said.append(message)


@pytest.fixture
def register(monkeypatch):
    """Make a tracker known by a name; a list of those that were made is returned."""

    def add(name, make=Notes):
        made = []

        def remember(run):
            made.append(make(run))
            return made[-1]

        monkeypatch.setitem(TRACKERS, name, remember)
        return made

    return add


def test_a_tracker_is_told_the_config_and_each_records_numbers(register, tiny, tmp_path):
    made = register("notes")
    recipe = tiny(SGDRecipe, tmp_path / "run", track=TrackConfig(track=("notes",), track_project="p"))
    directory, records = recipe.execute()
    (tracker,) = made
    assert (tracker.run.title, tracker.run.where, tracker.run.project) == ("sgd", directory.path, "p")
    assert tracker.run.options == recipe.options()
    assert tracker.run.flat()["sgd.lr"] == 0.05
    assert [(epoch, event) for epoch, _, event in tracker.logged] == [(1, None), (2, None)]
    for (_, numbers, _), record in zip(tracker.logged, records, strict=True):
        assert numbers == {name: value for name, value in record.items() if name != "epoch"}
    assert tracker.closed is True


def test_the_epochs_of_a_stream_are_counted_through(register, tiny, tmp_path):
    made = register("notes")
    tiny(AlmaRecipe, tmp_path / "run", track=TrackConfig(track=("notes",))).execute()
    logged = [(epoch, "test/errors" in numbers, numbers["megabatch"]) for epoch, numbers, _ in made[0].logged]
    assert logged == [(1, False, 1), (2, False, 1), (2, True, 1), (3, False, 2), (4, False, 2), (4, True, 2)]


def test_a_run_that_is_stopped_says_so_and_its_resumption_goes_on(register, tiny, tmp_path):
    class Stops(Observer):
        def record(self, record):
            if record["epoch"] == 2:
                raise KeyboardInterrupt

    made = register("notes")
    recipe = tiny(SGDRecipe, tmp_path / "run", epochs=3, track=TrackConfig(track=("notes",)))
    with pytest.raises(KeyboardInterrupt):
        recipe.execute(observer=Stops())
    recipe.execute(resume=RunDirectory.open(tmp_path / "run"))
    assert [[epoch for epoch, _, _ in tracker.logged] for tracker in made] == [[1, 2], [3]]
    assert [tracker.closed for tracker in made] == [False, True]


def failing(when):
    class Fails(Notes):
        calls = 0

        def log(self, numbers, epoch, event):
            super().log(numbers, epoch, event)
            if when == f"log {epoch}":
                raise RuntimeError("the server is gone\nand so on")

        def close(self, *, finished):
            if when == "close":
                raise OSError
            super().close(finished=finished)

    def make(run):
        if when == "begin":
            raise ValueError("no such project")
        return Fails(run)

    return make


@pytest.mark.parametrize(
    ("when", "reason", "heard"),
    [
        ("begin", "no such project", []),
        ("log 1", "the server is gone", [1]),
        ("log 2", "the server is gone", [1, 2]),
        ("close", "OSError", [1, 2]),
    ],
)
def test_a_tracker_that_fails_is_left_out_and_the_run_is_the_same(when, reason, heard, register, tiny, tmp_path):
    failed, sound, observer = register("faulty", failing(when)), register("notes"), Says()
    track = TrackConfig(track=("faulty", "notes"))
    directory, records = tiny(SGDRecipe, tmp_path / "run", track=track).execute(observer=observer)
    alone, _ = tiny(SGDRecipe, tmp_path / "alone").execute()
    assert observer.said == [f"warning: no longer tracked by faulty, which failed ({reason}); the run goes on"]
    assert observer.recorded == len(records) == 2
    assert [epoch for tracker in failed for epoch, _, _ in tracker.logged] == heard
    assert [epoch for epoch, _, _ in sound[0].logged] == [1, 2]
    assert directory.summary() == alone.summary()
    one, two = (load_checkpoint(run.checkpoint("last"))["model"] for run in (directory, alone))
    assert all(torch.equal(value, two[name]) for name, value in one.items())


@pytest.mark.parametrize(
    ("name", "module", "package"),
    [
        ("tensorboard", "torch.utils.tensorboard", "tensorboard"),
        ("wandb", "wandb", "wandb"),
        ("mlflow", "mlflow.tracking", "mlflow-skinny sqlalchemy alembic"),
    ],
)
def test_a_library_that_is_absent_is_one_line_that_says_what_to_install(
    name, module, package, tiny, tmp_path, monkeypatch
):
    for part in {module, module.partition(".")[0] if name != "tensorboard" else module}:
        monkeypatch.setitem(sys.modules, part, None)
    observer = Says()
    _, records = tiny(SGDRecipe, tmp_path / "run", track=TrackConfig(track=(name,))).execute(observer=observer)
    assert len(records) == 2
    (line,) = observer.said
    assert line.startswith(f"warning: not tracked by {name}, which is not installed")
    assert line.endswith(f"pip install {package}")


def test_without_an_observer_the_warning_is_logged(register, tiny, tmp_path, caplog):
    register("faulty", failing("log 1"))
    tiny(SGDRecipe, tmp_path / "run", track=TrackConfig(track=("faulty",))).execute()
    assert [record.message for record in caplog.records if record.name == "lethe"] == [
        "warning: no longer tracked by faulty, which failed (the server is gone); the run goes on"
    ]


def test_the_command_line_takes_several_and_shows_one_line(register, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    register("faulty", failing("log 1"))
    made = register("notes")
    small = "--train-size 100 --validation-size 50 --test-size 60 --width 4 --epochs 2 --batch-size 32 --device cpu"
    words = ["--track", "faulty", "notes", "--track-project", "mine", *small.split()]
    assert main(["train", "sgd", "--out", "run", *words]) == 0
    output, errors = capsys.readouterr()
    assert "warning: no longer tracked by faulty" in output
    assert "Traceback" not in output + errors
    assert [epoch for epoch, _, _ in made[0].logged] == [1, 2]
    assert RunDirectory.open(tmp_path / "run").config()["track"] == {
        "track": ["faulty", "notes"],
        "track_project": "mine",
    }


def test_runs_that_differ_in_their_trackers_alone_belong_together(register, tiny, tmp_path):
    register("notes")
    first, _ = tiny(SGDRecipe, tmp_path / "a", track=TrackConfig(track=("notes",))).execute()
    second, _ = tiny(SGDRecipe, tmp_path / "b", seed=1).execute()
    (group,) = group_runs([first, second])
    assert (group.label, group.seeds) == ("SGD", [0, 1])


def test_a_run_directory_from_before_there_were_trackers_is_gone_on_with(tiny, tmp_path):
    from lethe.recipes import TRAIN_RECIPES, load_recipe

    recipe = tiny(SGDRecipe, tmp_path / "run")
    options = {name: section for name, section in recipe.options().items() if name != "track"}
    directory = RunDirectory.create(tmp_path / "run", options, recipe.run.torch_device())
    loaded = load_recipe(directory.path, TRAIN_RECIPES)
    assert loaded == replace(recipe, run=replace(recipe.run, out=None))
    assert len(loaded.execute(resume=directory)[1]) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"track": ("tensorbord",)}, "unknown tracker 'tensorbord'. Did you mean 'tensorboard'"),
        ({"track": ("wandb", "wandb")}, "names a tracker twice: wandb wandb"),
        ({"track_project": ""}, "track_project must not be empty"),
    ],
)
def test_a_tracker_that_does_not_exist_is_refused(options, message):
    with pytest.raises(lethe.LetheError, match=message):
        TrackConfig(**options)
