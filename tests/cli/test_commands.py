"""What works: help, versions, options, files."""

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import lethe
from lethe.engine import RunDirectory
from lethe.recipes import ANYTIME_RECIPES, TRAIN_RECIPES


def test_help_names_every_command(lethe_command):
    for words in ((), ("--help",), ("-h",), ("help",)):
        status, output, errors = lethe_command(*words)
        assert (status, errors) == (0, "")
        for command in ("demo", "train", "anytime", "report", "recipes"):
            assert f"\n  {command} " in output


def test_each_command_has_help(lethe_command):
    for command in ("demo", "train", "anytime", "report"):
        status, output, errors = lethe_command(command, "--help")
        assert (status, errors) == (0, "")
        assert output.startswith(f"usage: lethe {command}")
    assert all(name in lethe_command("train", "--help")[1] for name in TRAIN_RECIPES)


@pytest.mark.parametrize(("command", "recipes"), [("train", TRAIN_RECIPES), ("anytime", ANYTIME_RECIPES)])
def test_each_group_of_options_is_headed_by_what_its_config_says(command, recipes, lethe_command):
    """And not by a comment of the source that happens to stand above a field."""
    for name, kind in recipes.items():
        _, output, _ = lethe_command(command, name, "--help")
        for field in dataclasses.fields(kind):
            section = type(getattr(kind(), field.name))
            if dataclasses.is_dataclass(section):
                group = field.name.replace("_", "-")
                found = re.search(rf"^\W*{group} options\W*$\W*(\w.*\w)", output, re.MULTILINE)
                assert section.__doc__.strip().startswith(found[1]), f"{name}, {field.name}: {found[1]}"


def test_version_is_the_librarys(lethe_command):
    assert lethe_command("--version") == (0, f"lethe {lethe.__version__}\n", "")


def test_recipes_lists_every_recipe_with_source_and_cost(lethe_command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    status, output, _ = lethe_command("recipes")
    assert status == 0
    for group, recipes in (("train", TRAIN_RECIPES), ("anytime", ANYTIME_RECIPES)):
        for name, kind in recipes.items():
            (line,) = [line for line in output.splitlines() if f"lethe {group} {name} " in line]
            assert kind.source in line
            assert kind.cost in line


def test_training_prints_its_table_and_where_it_wrote(train):
    status, output, errors = train("sgd", "--out", "run")
    assert (status, errors) == (0, "")
    assert "Test error, %" in output
    assert "written: run (config" in output
    assert RunDirectory.open(Path("run")).summary()["epochs"] == 2


def test_without_out_a_run_goes_to_a_free_name(train):
    train("sgd", "--seed", "4")
    train("sgd", "--seed", "4")
    assert sorted(path.name for path in Path("runs").iterdir()) == ["sgd-digits-seed4", "sgd-digits-seed4-2"]


def test_fractions_are_understood(train):
    words = ("--epsilon", "8/255", "--step-size", "0.01", "--steps", "1", "--eval-steps", "1")
    assert train("at", *words, "--out", "run")[0] == 0
    attack = RunDirectory.open(Path("run")).config()["attack"]
    assert (attack["epsilon"], attack["step_size"]) == (8 / 255, 0.01)


def test_a_config_gives_the_options_and_the_line_overrides_them(train, lethe_command):
    train("amp", "--epsilon", "0.25", "--out", "first")
    for words in (("--config", "first/config.json"), ("amp", "--config=first/config.json")):
        status, _, errors = lethe_command(
            "train", *words, "--seed", "5", "--epochs", "1", "--out", f"run{len(words)}{words[0]}"
        )
        assert (status, errors) == (0, "")
        again = RunDirectory.open(Path(f"run{len(words)}{words[0]}")).config()
        first = RunDirectory.open(Path("first")).config()
        assert (again["run"]["seed"], again["schedule"]["epochs"]) == (5, 1)
        again["run"]["seed"], again["schedule"]["epochs"] = 0, 2
        assert again == first


def test_the_same_config_gives_the_same_numbers(train, lethe_command):
    train("amp", "--out", "first")
    lethe_command("train", "--config", "first/config.json", "--out", "again")
    records = [RunDirectory.open(Path(name)).records() for name in ("first", "again")]
    assert [{**r, "seconds": 0} for r in records[0]] == [{**r, "seconds": 0} for r in records[1]]


def test_a_stopped_run_says_how_to_go_on(train, lethe_command):
    train("sgd", "--out", "run")
    Path("run/summary.json").unlink()
    status, output, errors = lethe_command("train", "--resume", "run")
    assert (status, errors) == (0, "")
    assert Path("run/summary.json").is_file()
    assert "Test error, %" in output


def test_where_a_run_goes_on_may_be_said_anew_and_nothing_else(train, lethe_command):
    train("sgd", "--out", "run")
    Path("run/summary.json").unlink()
    config = json.loads(Path("run/config.json").read_text())
    config["run"]["device"] = "cuda:7"
    Path("run/config.json").write_text(json.dumps(config))
    status, _, errors = lethe_command("train", "--resume", "run")
    assert (status, "use --device cpu or auto" in errors) == (2, True)
    status, _, errors = lethe_command("train", "--resume", "run", "--lr", "0.3", "--device", "cpu")
    assert status == 2
    assert "leave '--lr 0.3 --device cpu' out. What may be another is where and how it runs: --device, --" in errors
    status, _, errors = lethe_command("train", "--resume", "run", "--device", "cpu", "--checkpoint-minutes", "5")
    assert (status, errors) == (0, "")
    assert Path("run/summary.json").is_file()


def test_a_stopped_stream_says_how_to_go_on(lethe_command):
    words = ("--train-size", "60", "--test-size", "40", "--width", "4", "--epochs", "1", "--megabatches", "2")
    assert lethe_command("anytime", "lure", *words, "--out", "run")[0] == 0
    assert "is finished: see it with lethe report run" in lethe_command("anytime", "--resume", "run")[2]
    before = Path("run/metrics.jsonl").read_text()
    Path("run/summary.json").unlink()
    status, _, errors = lethe_command("report", "run")
    assert (status, errors.count("\n")) == (2, 1)
    assert "leave it out, or continue it with lethe anytime --resume run." in errors
    status, _, errors = lethe_command("train", "--resume", "run")
    assert (status, errors) == (2, "lethe: error: the run 'run' is one of lethe anytime: lethe anytime --resume run.\n")
    status, output, errors = lethe_command("anytime", "--resume", "run")
    assert (status, errors) == (0, "")
    assert "after each of 2 megabatches" in output
    assert Path("run/metrics.jsonl").read_text() == before
    for command in ("train", "anytime"):
        for help_words in ((command, "--help"), (command, "lure" if command == "anytime" else "sgd", "--help")):
            assert "--resume RUN" in lethe_command(*help_words)[1]


def test_a_damaged_checkpoint_is_told_and_the_run_goes_on_from_the_one_before(train, lethe_command):
    train("sgd", "--out", "run")
    Path("run/summary.json").unlink()
    last = Path("run/checkpoints/last.pt")
    Path("run/checkpoints/last-previous.pt").write_bytes(last.read_bytes())
    last.write_bytes(last.read_bytes()[:100])
    status, output, errors = lethe_command("train", "--resume", "run")
    assert (status, errors) == (0, "")
    assert "last.pt' cannot be read (damaged, or not a checkpoint). Going on from the one before it" in output


def test_anytime_prints_its_table(lethe_command):
    words = ("--train-size", "60", "--test-size", "40", "--width", "4", "--epochs", "1", "--megabatches", "2")
    status, output, errors = lethe_command("anytime", "lure", *words, "--out", "run")
    assert (status, errors) == (0, "")
    assert "after each of 2 megabatches" in output
    assert len(json.loads(Path("run/summary.json").read_text())["test/errors"]) == 2


def test_a_report_over_two_seeds_writes_tables_a_picture_and_a_page(train, lethe_command):
    train("sgd", "--seed", "0", "--out", "a")
    train("sgd", "--seed", "1", "--out", "b")
    status, output, errors = lethe_command("report", "a", "b", "--out", "deep/report")
    assert (status, errors) == (0, "")
    assert "±" in output
    folder = Path("deep/report")
    assert {path.name for path in folder.iterdir()} == {"table.md", "table.csv", "curves.png", "report.html"}
    assert "| SGD |" in (folder / "table.md").read_text()
    assert "Test error" in (folder / "table.csv").read_text()
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert "data:image/png;base64," in (folder / "report.html").read_text()
    words = ("report", "a", "b", "--out", "deep/report", "--by-folder")
    assert lethe_command(*words)[0] == 0  # made anew, over the old one
    assert "| a |" in (folder / "table.md").read_text()


def test_a_reader_who_has_seen_enough_is_told_of_no_error():
    command = [Path(sys.executable).with_name("lethe"), "train", "fomo", "--help"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()  # as head does
    assert (process.communicate()[1], process.returncode) == (b"", 141)
