"""Runs whose megabatches arrive as files while they wait: damaged ones, stops, resumes, and real processes."""

import contextlib
import functools
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

from lethe.anytime import ArrivingMegabatches
from lethe.data import DataConfig, load
from lethe.engine import Observer, RunDirectory, Stopped, load_checkpoint, save_checkpoint
from lethe.recipes import LureRecipe, StreamConfig


@pytest.fixture(scope="module")
def megabatches(tmp_path_factory):
    """A folder with three megabatches of digits, of different sizes, and a file that ends the stream."""
    folder = tmp_path_factory.mktemp("megabatches")
    digits = load(DataConfig(train_size=130, validation_size=0)).train
    for name, (first, last) in {"a": (0, 40), "b": (40, 90), "c": (90, 130)}.items():
        part = digits.subset(list(range(first, last)))
        np.savez(folder / f"{name}.npz", images=(part.images * 255).byte().numpy(), labels=part.labels.numpy())
    (folder / "end").touch()
    return folder


@pytest.fixture
def quick(monkeypatch):
    """Look often, and do not wait long for a damaged file."""
    hurried = functools.partial(ArrivingMegabatches, poll_seconds=0.01, settle_seconds=0.0)
    monkeypatch.setattr("lethe.recipes._stream.ArrivingMegabatches", hurried)


def make(tiny, out, arrivals, **options):
    return tiny(LureRecipe, out, stream=StreamConfig(arrivals=str(arrivals), holdout=0.2, replay="30", **options))


class Watcher(Observer):
    """Calls what it is given when something is said, and stops or breaks off at the so manieth step or record."""

    def __init__(self, on_say=None, interrupt=0, stop=0):
        self.on_say, self.interrupt, self.stop = on_say, interrupt, stop
        self.said, self.begun, self.numbers, self.calls, self.stopping = [], None, [], 0, False

    def begin(self, title, epochs, where=None):
        self.begun = epochs

    def megabatch(self, number, expected):
        self.numbers.append((number, expected))

    def say(self, message):
        self.said.append(message)
        if self.on_say is not None:
            self.on_say(self, message)

    def step(self, epochs):
        self.calls += 1
        if self.calls == self.interrupt:
            raise KeyboardInterrupt

    def record(self, record):
        self.step(0)

    def stop_asked(self):
        return self.stopping or 0 < self.stop <= self.calls


@pytest.fixture
def assert_same_learnt(assert_same_bits):
    """Two runs published the same models."""

    def check(one, two):
        for name in ("megabatch-1", "megabatch-2", "megabatch-3", "published"):
            assert_same_bits(*(load_checkpoint(run / "checkpoints" / f"{name}.pt") for run in (one, two)))

    return check


@pytest.fixture(scope="module")
def left_alone(tiny, megabatches, tmp_path_factory):
    """A run of the three megabatches that nobody stopped, and its observer."""
    watcher = Watcher()
    directory, _ = make(tiny, tmp_path_factory.mktemp("alone") / "run", megabatches).execute(observer=watcher)
    return directory.path, watcher


def test_a_run_learns_what_is_there_and_publishes_a_model_after_each(left_alone, megabatches):
    path, watcher = left_alone
    run = RunDirectory.open(path)
    assert (watcher.begun, watcher.numbers) == (None, [(1, None), (2, None), (3, None)])
    closing = [record for record in run.records() if "test/errors" in record]
    assert [(r["megabatch"], r["new_images"], r["train_images"]) for r in closing] == [
        (1, 32, 32),
        (2, 40, 70),
        (3, 32, 62),
    ]
    assert len(run.summary()["test/errors"]) == 3
    newest = load_checkpoint(run.checkpoint("published"))
    assert newest["megabatch"] == 3
    names = [file["name"] for file in load_checkpoint(run.checkpoint("last"))["stream"]["files"]]
    assert names == ["a.npz", "b.npz", "c.npz"]


@pytest.mark.parametrize("asks", [False, True], ids=["interrupted", "asked"])
def test_stopped_anywhere_and_resumed_it_equals_one_left_alone(
    left_alone, asks, tiny, megabatches, tmp_path, assert_equal_runs
):
    alone, watcher = left_alone
    middle = watcher.calls - 6  # after the first of two steps of the first of two epochs of megabatch 3
    for call in (3, 9, middle, middle + 3) if asks else range(2, watcher.calls + 1, 5):
        recipe = make(tiny, tmp_path / str(call), megabatches)
        with contextlib.suppress(KeyboardInterrupt):  # which Stopped is, too
            recipe.execute(observer=Watcher(stop=call) if asks else Watcher(interrupt=call))
        run = RunDirectory.open(tmp_path / str(call))
        if asks and call == middle:
            state = load_checkpoint(run.checkpoint("last"))
            assert (state["place"]["megabatch"], state["epoch"], state["progress"]["batches"]) == (2, 0, 1)
        if run.summary() is None:
            recipe.execute(resume=run)
        assert_equal_runs(run.path, alone)


def test_a_run_waits_for_each_and_may_be_stopped_there(
    left_alone, tiny, megabatches, tmp_path, quick, assert_equal_runs
):
    folder, places = tmp_path / "incoming", []
    folder.mkdir()
    recipe = make(tiny, tmp_path / "run", folder)

    def stop(watcher, message):
        assert message.startswith("waiting for megabatch ")
        watcher.stopping = True

    run = None
    for name in ("a.npz", "b.npz", "c.npz", "end"):
        with pytest.raises(Stopped):
            recipe.execute(observer=Watcher(stop), resume=run)
        run = RunDirectory.open(tmp_path / "run")
        places.append(load_checkpoint(run.checkpoint("last"))["place"]["megabatch"])
        shutil.copy(megabatches / name, folder / f".{name}")
        (folder / f".{name}").replace(folder / name)
    recipe.execute(resume=run)
    assert places == [0, 1, 2, 3]
    assert_equal_runs(run.path, left_alone[0])


def test_a_run_that_waits_says_so_at_intervals(tiny, tmp_path, quick, monkeypatch):
    monkeypatch.setattr("lethe.engine._arrivals.TELL_EVERY_S", 0.03)

    def stop(watcher, message):
        watcher.stopping = len(watcher.said) == 3

    watcher = Watcher(stop)
    with pytest.raises(Stopped):
        make(tiny, tmp_path / "run", tmp_path).execute(observer=watcher)
    first = f"waiting for megabatch 1 in '{tmp_path}'"
    assert watcher.said == [first, *[f"{first}, for 0 minutes now"] * 2]


def test_a_damaged_file_is_told_of_kept_in_the_metrics_and_the_run_goes_on(
    left_alone, tiny, megabatches, tmp_path, quick, assert_same_learnt
):
    folder = shutil.copytree(megabatches, tmp_path / "incoming")
    (folder / "aa.npz").write_bytes((folder / "a.npz").read_bytes()[:-10])
    small = {"images": np.zeros((20, 4, 4), np.uint8), "labels": np.zeros(20, int)}
    np.savez(folder / "bb.npz", **small)
    recipe, watcher = make(tiny, tmp_path / "run", folder), Watcher()
    recipe.execute(observer=watcher)
    told = [message for message in watcher.said if message.startswith("error: ")]
    assert len(told) == 2
    assert told[0].startswith("error: 'aa.npz' is set aside as damaged: it cannot be read as .npz")
    shapes = "its images are 1x4x4, and must be 1x8x8"
    assert told[1] == f"error: 'bb.npz' is set aside as damaged: {shapes}. The run goes on."
    run = RunDirectory.open(tmp_path / "run")
    lines = [record for record in run.records() if "set_aside" in record]
    assert [(line["megabatch"], line["set_aside"]) for line in lines] == [(2, "aa.npz"), (3, "bb.npz")]
    assert lines[1]["error"] == shapes
    assert sorted(path.name for path in (folder / "damaged").iterdir()) == ["aa.npz", "bb.npz"]
    assert_same_learnt(run.path, left_alone[0])


def test_what_was_set_aside_stays_in_the_metrics_of_a_run_that_is_killed_right_after(
    tiny, megabatches, tmp_path, quick, monkeypatch
):
    folder = shutil.copytree(megabatches, tmp_path / "incoming")
    (folder / "0.npz").write_bytes(b"no megabatch")
    recipe = make(tiny, tmp_path / "run", folder)
    for moved in (False, True):  # killed before the file is moved, and after it

        def killed(stream, path, reason, moved=moved, set_aside=ArrivingMegabatches._set_aside):
            if moved:
                set_aside(stream, path, reason)
            else:
                stream.on_damaged(path.name, reason)
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(ArrivingMegabatches, "_set_aside", killed)
            run = RunDirectory.open(tmp_path / "run") if moved else None
            with pytest.raises(KeyboardInterrupt):
                recipe.execute(resume=run)
    run = RunDirectory.open(tmp_path / "run")
    recipe.execute(resume=run)
    assert [r["set_aside"] for r in run.records() if "set_aside" in r] == ["0.npz"]
    assert len(run.summary()["test/errors"]) == 3


def test_a_stream_that_ends_before_it_begins_is_an_error_and_can_go_on(tiny, megabatches, tmp_path, quick):
    (tmp_path / "end").touch()
    recipe = make(tiny, tmp_path / "run", tmp_path)
    with pytest.raises(ValueError, match="ended before there was a megabatch: nothing was learnt"):
        recipe.execute()
    shutil.copy(megabatches / "a.npz", tmp_path)
    recipe.execute(resume=RunDirectory.open(tmp_path / "run"))
    assert len(RunDirectory.open(tmp_path / "run").summary()["test/errors"]) == 1


def test_a_run_with_a_checkpoint_of_a_known_stream_says_that_it_does_not_fit(tiny, megabatches, tmp_path, quick):
    known = tiny(LureRecipe, tmp_path / "known", epochs=1).execute()[0]
    recipe = make(tiny, tmp_path / "run", megabatches)
    with pytest.raises(KeyboardInterrupt):
        recipe.execute(observer=Watcher(interrupt=9))
    run = RunDirectory.open(tmp_path / "run")
    state = load_checkpoint(known.checkpoint("last"))
    state["config"] = load_checkpoint(run.checkpoint("last"))["config"]
    save_checkpoint(run.checkpoint("last"), state)
    with pytest.raises(ValueError, match="does not fit the run's config"):
        recipe.execute(resume=run)


WRITER = """
import os, shutil, sys, time
source, folder, published = sys.argv[1:]
def put(name, content):
    with open(f"{folder}/.new", "wb") as file:
        file.write(content)
    os.rename(f"{folder}/.new", f"{folder}/{name}")
def wait(megabatch):
    while not os.path.exists(f"{published}/megabatch-{megabatch}.pt"):
        time.sleep(0.01)
content = {name: open(f"{source}/{name}.npz", "rb").read() for name in "abc"}
put("a.npz", content["a"])
wait(1)
put("aa.npz", content["b"][:-100])
put("b.npz", content["b"])
wait(2)
put("c.npz", content["c"])
put("end", b"")
"""
WORDS = (
    *("anytime", "lure", "--train-size", "100", "--test-size", "60", "--width", "4", "--batch-size", "32"),
    *("--epochs", "2", "--lr", "0.05", "--augment", "crop-flip", "--device", "cpu", "--milestones", "0.5", "0.75"),
    *("--holdout", "0.2", "--replay", "30"),
)


def test_a_real_process_writes_megabatches_while_a_real_run_waits(
    zygote, left_alone, megabatches, tmp_path, assert_same_learnt
):
    folder, run = tmp_path / "incoming", tmp_path / "run"
    folder.mkdir()
    arguments = [sys.executable, "-c", WRITER, str(megabatches), str(folder), str(run / "checkpoints")]
    with subprocess.Popen(arguments, env={**os.environ, "OMP_NUM_THREADS": "1"}) as writer:
        done = zygote((*WORDS, "--arrivals", folder, "--out", run))
        writer.terminate()
    assert (done["status"], done["errors"]) == (0, "")
    assert "error: 'aa.npz' is set aside as damaged: it cannot be read as .npz" in done["output"]
    assert "waiting for megabatch 2 in " in done["output"]  # while the damaged one might still be growing
    assert "no end known] megabatch 3: test error" in done["output"]
    directory = RunDirectory.open(run)
    assert [r["set_aside"] for r in directory.records() if "set_aside" in r] == ["aa.npz"]
    assert [path.name for path in (folder / "damaged").iterdir()] == ["aa.npz"]
    assert_same_learnt(run, left_alone[0])


def test_a_run_that_is_told_to_stop_while_it_waits_does_so_and_goes_on(
    zygote, left_alone, megabatches, tmp_path, assert_same_learnt
):
    folder, run = tmp_path / "incoming", tmp_path / "run"
    folder.mkdir()
    shutil.copy(megabatches / "a.npz", folder)
    kill = {"file": str(run / "checkpoints" / "published.pt"), "changes": 1, "seconds": 1.5, "number": signal.SIGTERM}
    stopped = zygote((*WORDS, "--arrivals", folder, "--out", run), kill)
    assert (stopped["status"], stopped["errors"]) == (128 + signal.SIGTERM, "")
    assert "waiting for megabatch 2 in " in stopped["output"]
    assert "go on with: lethe anytime --resume" in stopped["output"]
    assert load_checkpoint(run / "checkpoints" / "last.pt")["place"]["megabatch"] == 1
    for name in ("b.npz", "c.npz", "end"):
        shutil.copy(megabatches / name, folder)
    resumed = zygote(("anytime", "--resume", run))
    assert (resumed["status"], resumed["errors"]) == (0, "")
    assert_same_learnt(run, left_alone[0])
