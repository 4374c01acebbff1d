"""A run's folder: made once, never overwritten, readable after a crash."""

import json

import pytest
import torch

import lethe
from lethe.engine import RunDirectory

CPU = torch.device("cpu")


@pytest.fixture
def run(tmp_path):
    return RunDirectory.create(tmp_path / "deep" / "run", {"recipe": "sgd"}, CPU)


def test_a_new_one_holds_its_config_and_environment(run):
    assert sorted(file.name for file in run.path.iterdir()) == ["config.json", "environment.json"]
    assert run.config() == {"recipe": "sgd"}
    assert run.environment() == json.loads((run.path / "environment.json").read_text())
    assert run.summary() is None
    assert run.records() == []
    assert RunDirectory.open(run.path).config() == {"recipe": "sgd"}


def test_an_existing_folder_is_an_error_and_is_left_as_it_was(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious.txt").write_text("kept")
    with pytest.raises(lethe.LetheError, match="exists: choose another --out"):
        RunDirectory.create(tmp_path / "mine", {}, CPU)
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["precious.txt"]
    assert (tmp_path / "mine" / "precious.txt").read_text() == "kept"


def test_a_place_where_no_folder_can_be_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(lethe.LetheError, match="cannot be made"):
        RunDirectory.create(tmp_path / "file" / "run", {}, CPU)


def test_a_folder_that_is_no_run_is_an_error(tmp_path):
    with pytest.raises(lethe.LetheError, match=r"is no run directory: it has no config\.json"):
        RunDirectory.open(tmp_path)


def test_a_free_name_counts_up(tmp_path):
    names = []
    for _ in range(3):
        names.append(RunDirectory.free_name(tmp_path, "sgd"))
        names[-1].mkdir()
    assert [path.name for path in names] == ["sgd", "sgd-2", "sgd-3"]


def test_records_come_back_in_order(run):
    for epoch in (1, 2, 3):
        run.append({"epoch": epoch, "train/loss": 1 / epoch})
    assert [record["epoch"] for record in run.records()] == [1, 2, 3]
    assert run.records()[2]["train/loss"] == 1 / 3
    run.keep_records(run.records()[:1])
    run.append({"epoch": 2})
    assert run.records() == [{"epoch": 1, "train/loss": 1.0}, {"epoch": 2}]


def test_a_last_line_that_a_crash_cut_short_is_left_out(run):
    run.append({"epoch": 1})
    run.append({"epoch": 2, "train/loss": 0.5})
    path = run.path / "metrics.jsonl"
    path.write_text(path.read_text()[:-8])
    assert run.records() == [{"epoch": 1}]


def test_a_summary_finishes_it(run):
    run.finish({"epochs": 2})
    assert run.summary() == {"epochs": 2}
    assert not list(run.path.glob("*.tmp"))


def test_a_damaged_config_is_a_clear_error(run):
    (run.path / "config.json").write_text("{")
    with pytest.raises(lethe.LetheError, match="cannot be read"):
        run.config()
    (run.path / "config.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(lethe.LetheError, match="cannot be read"):
        run.config()
