"""The demo, end to end, and where it goes."""

import io
import json
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from lethe.cli._demo import _make_folder
from lethe.engine import RunDirectory


def quiet():
    return Console(file=io.StringIO(), width=200)


def test_the_demo_trains_three_pairs_and_leaves_tables_a_picture_and_a_page(lethe_command):
    status, output, errors = lethe_command("demo", "--out", "demo")
    assert (status, errors) == (0, "")
    folder = Path("demo")
    runs = sorted(path for path in folder.iterdir() if path.is_dir())
    assert all(RunDirectory.open(run).summary() is not None for run in runs)
    assert {json.loads((run / "config.json").read_text())["recipe"] for run in runs} == {
        *("at", "fomo", "sgd", "amp", "alma", "lure"),
    }
    table = (folder / "table.md").read_text()
    for label in ("| AT |", "| FOMO, stable model |", "| SGD |", "| AMP |", "| ALMA (warm start) |", "| LURE |"):
        assert label in table
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "report.html").read_text().startswith("<!doctype html>")
    for words in (
        "Robust accuracy, %",
        "Test error, %",
        "Test error after each of 5 megabatches",
        "FOMO, stable model",
        "Written: demo/",
    ):
        assert words in output
    shutil.rmtree(folder)


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_an_existing_folder_is_an_error_and_is_left_as_it_was(lethe_command, kind):
    if kind == "folder":
        Path("mine").mkdir()
        Path("mine/precious.txt").write_text("kept")
    else:
        Path("mine").write_text("kept")
    status, _, errors = lethe_command("demo", "--out", "mine")
    assert status == 2
    assert errors == "lethe: error: the folder 'mine' exists: choose another --out, or move it away.\n"
    assert (Path("mine/precious.txt") if kind == "folder" else Path("mine")).read_text() == "kept"
    assert len(list(Path.cwd().rglob("*"))) == (2 if kind == "folder" else 1)


def test_earlier_demos_are_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in range(3):
        folder = _make_folder(None, quiet())
        assert folder == Path("runs/demo")
        assert list(folder.iterdir()) == []
        (folder / "number").write_text(str(number))
    kept = {path.name: (path / "number").read_text() for path in Path("runs").iterdir()}
    assert kept == {"demo": "2", "demo-1": "0", "demo-2": "1"}


def test_a_folder_that_is_asked_for_is_made_with_its_parents(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert _make_folder("deep/er", quiet()).is_dir()
