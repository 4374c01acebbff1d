"""A disk that is full: one line that says what to do, everything as it was, and the run goes on to the same bits.

Full is real here: a limit on how large a file may grow (RLIMIT_FSIZE) in a process of its own, and /dev/full.
"""

import json
import resource
from pathlib import Path

import pytest
import torch

import lethe
from lethe.engine import RunDirectory, load_checkpoint, save_checkpoint
from lethe.evaluate import Evaluation

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")


@pytest.mark.parametrize(
    ("recipe", "place", "call", "room", "file"),
    [
        ("lure", "saving", 1, 5000, "checkpoints/last.pt"),
        ("fomo", "saving", 5, 5000, "checkpoints/"),
        ("fomo", "writing", 6, 400, "metrics.jsonl"),
        ("lure", "saving", 9, 20_000, "checkpoints/"),
        ("lure", "writing", 7, 100, "metrics.jsonl"),
    ],
)
def test_a_run_whose_disk_is_full_says_so_and_goes_on_when_there_is_room(
    zygote, alone, assert_equal_runs, tmp_path, recipe, place, call, room, file
):
    (command, whole, _), folder = alone(recipe), tmp_path / "run"
    full = zygote((*command, "--out", folder), limit={"in": place, "call": call, "bytes": room})
    assert full["status"] == 2
    (line,) = full["errors"].splitlines()
    assert line.startswith(f"lethe: error: '{folder / file}"[:-1])
    assert "cannot be written (File too large): what was there before is kept. Make room" in line
    assert not list(folder.rglob("*.tmp"))
    for checkpoint in folder.rglob("*.pt"):
        load_checkpoint(checkpoint)
    metrics = folder / "metrics.jsonl"
    kept = [json.loads(line) for line in metrics.read_text().splitlines()] if metrics.is_file() else []
    assert kept == RunDirectory.open(folder).records()
    resumed = zygote((command[0], "--resume", folder))
    assert (resumed["status"], resumed["errors"]) == (0, "")
    assert_equal_runs(folder, whole)


def test_a_run_whose_summary_cannot_be_written_is_resumed_to_write_it(zygote, alone, assert_equal_runs, tmp_path):
    (command, whole, _), folder = alone("lure"), tmp_path / "run"
    lines = len((whole / "metrics.jsonl").read_text().splitlines())
    full = zygote((*command, "--out", folder), limit={"in": "writing", "call": lines + 3, "bytes": 10})
    assert (full["status"], full["errors"].count("\n")) == (2, 1)
    assert f"{folder / 'summary.json'}' cannot be written" in full["errors"]
    assert zygote((command[0], "--resume", folder))["status"] == 0
    assert_equal_runs(folder, whole)


def test_a_disk_that_is_full_from_the_start_leaves_nothing_in_the_way(zygote, alone, tmp_path):
    command, _, _ = alone("lure")
    full = zygote((*command, "--out", tmp_path / "run"), limit={"in": "writing", "call": 1, "bytes": 10})
    assert (full["status"], full["errors"].count("\n")) == (2, 1)
    assert list(tmp_path.iterdir()) == []


@needs_full
def test_a_checkpoint_that_does_not_fit_leaves_the_one_before(tmp_path):
    path, previous = tmp_path / "last.pt", tmp_path / "last-previous.pt"
    for epoch in (1, 2):
        save_checkpoint(path, {"epoch": epoch}, previous=previous)
    for size in (1, 100_000):  # one that a buffer holds, and one that it does not
        path.with_name("last.pt.tmp").symlink_to(FULL)
        with pytest.raises(lethe.LetheError, match=r"last\.pt' cannot be written \(No space left on device\)"):
            save_checkpoint(path, {"weights": torch.zeros(size)}, previous=previous)
        assert sorted(file.name for file in tmp_path.iterdir()) == ["last-previous.pt", "last.pt"]
        assert [load_checkpoint(file)["epoch"] for file in (previous, path)] == [1, 2]


def test_a_line_that_the_disk_takes_in_part_is_taken_back(tmp_path):
    run = RunDirectory.create(tmp_path / "run", {"recipe": "sgd"}, torch.device("cpu"))
    run.append({"epoch": 1})
    metrics = run.path / "metrics.jsonl"
    before, limits = metrics.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 5, limits[1]))
    try:
        with pytest.raises(lethe.LetheError, match=r"metrics\.jsonl' cannot be written \(File too large\)"):
            run.append({"epoch": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert metrics.read_bytes() == before
    run.append({"epoch": 2})
    assert run.records() == [{"epoch": 1}, {"epoch": 2}]


@needs_full
def test_metrics_and_summary_that_do_not_fit_are_one_line(tmp_path):
    run = RunDirectory.create(tmp_path / "run", {"recipe": "sgd"}, torch.device("cpu"))
    (run.path / "metrics.jsonl").symlink_to(FULL)
    with pytest.raises(lethe.LetheError, match=r"metrics\.jsonl' cannot be written \(No space left on device\)"):
        run.append({"epoch": 1})
    (run.path / "summary.json.tmp").symlink_to(FULL)
    with pytest.raises(lethe.LetheError, match=r"summary\.json' cannot be written \(No space left on device\)"):
        run.finish({})
    assert run.summary() is None
    (run.path / "metrics.jsonl").unlink()
    run.append({"epoch": 1})
    (run.path / "metrics.jsonl.tmp").symlink_to(FULL)
    with pytest.raises(lethe.LetheError, match=r"metrics\.jsonl' cannot be written"):
        run.keep_records([])
    assert run.records() == [{"epoch": 1}]


@needs_full
def test_an_evaluation_that_does_not_fit_keeps_what_there_is(tmp_path):
    path = tmp_path / "found.json"
    evaluation = Evaluation({"of": "x"}, right={"clean": torch.tensor([True, False])}, path=path)
    evaluation.save()
    before = path.read_bytes()
    path.with_name("found.json.tmp").symlink_to(FULL)
    with pytest.raises(lethe.LetheError, match=r"found\.json' cannot be written \(No space left on device\)"):
        evaluation.save()
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["found.json"]


def test_a_place_that_may_not_be_written_is_one_line(tmp_path):
    (tmp_path / "checkpoints").write_text("a file where a folder should be")
    with pytest.raises(lethe.LetheError, match=r"last\.pt' cannot be written \(File exists\)"):
        save_checkpoint(tmp_path / "checkpoints" / "last.pt", {"epoch": 1})
