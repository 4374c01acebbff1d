"""Every mistake is one line on stderr that says what to do; nothing is written, and there is no traceback."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lethe.cli import main
from lethe.recipes import SGDRecipe


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("tran", "unknown command 'tran'. Did you mean 'train'?"),
        ("--versoin", "unknown command '--versoin'"),
        ("train", "lethe train needs a recipe: sgd, amp, sam, "),
        ("train fomoo", "unknown recipe 'fomoo'. Did you mean 'fomo'?"),
        ("train lure", "'lure' is a recipe of lethe anytime: lethe anytime lure"),
        ("anytime lur", "Did you mean 'lure'?"),
        ("train sgd --epohcs 3", "unknown option '--epohcs'. Did you mean '--epochs'?"),
        ("train sgd --epohcs=3", "unknown option '--epohcs'. Did you mean '--epochs'?"),
        ("train sgd extra", "unexpected word 'extra'"),
        ("train sgd --dataset cifar", "unknown dataset 'cifar'. Did you mean 'cifar10'?"),
        ("train sgd --model small-resnt", "Did you mean 'small-resnet'?"),
        ("train sgd --epochs three", "--epochs: invalid literal for int() with base 10: 'three'"),
        ("train sgd --epochs 1.5", "--epochs: invalid literal"),
        ("train sgd --epochs", "--epochs"),
        ("train sgd --lr fast", "--lr: could not convert string to float: 'fast'"),
        ("train sgd --train-size many", "--train-size"),
        ("train sgd --milestones 0.5 x", "--milestones"),
        ("train sgd --nesterov yes", "unexpected word 'yes'"),
        ("train sgd --epochs 0", "epochs must be at least 1, got 0"),
        ("train sgd --seed -1", "seed must lie in [0, 2**62), got -1"),
        ("train sgd --seed 18446744073709551616", "seed must lie in [0, 2**62), got 18446744073709551616"),
        ("train sgd --split-seed 18446744073709551616", "split_seed must lie in [0, 2**62)"),
        ("train sgd --validation-size 0", "validation_size must be at least 1, got 0"),
        ("train sgd --milestones 0.5 2", "a milestone must lie in [0, 1], got 2.0"),
        ("train sgd --nesterov --momentum 0", "nesterov needs a momentum above 0"),
        ("train sgd --device no-such-device", "is not available here: use --device cpu or auto"),
        ("train sgd --test-size 5000", "test_size is 5000, but only 1795 are available"),
        ("train amp --epsilon -1", "epsilon must be a finite number of at least 0, got -1.0"),
        ("train amp --epsilon nan", "epsilon must be a finite number"),
        ("train at --epsilon -8/255", "epsilon must be a finite number of at least 0"),
        ("train at --epsilon 8/0", "--epsilon: cannot divide by zero: '8/0'"),
        ("train at --epsilon 8/", "--epsilon: could not convert string to float"),
        ("train at --norm l3", "unknown norm 'l3'. Did you mean 'l2'?"),
        ("train fomo --fraction 2", "fraction must lie in [0, 1], got 2.0"),
        ("train fomo --fraction -0.1", "fraction must lie in [0, 1], got -0.1"),
        ("train fomo --period 0", "period must be at least 1"),
        ("train sgd --label-noise 1.5", "label_noise must lie in [0, 1], got 1.5"),
        ("anytime lure --fraction 1.1", "fraction must lie in [0, 1], got 1.1"),
        ("anytime alma --replay ful", "got 'ful'. Did you mean 'full'?"),
        ("anytime alma --holdout 0", "holdout must lie between 0 and 1"),
        ("anytime alma --megabatches 5000", "too few for 5000 megabatches"),
        ("anytime alma --resume x", "--resume takes its options from the run: leave 'alma' out"),
        ("anytime --resume nope", "'nope' is no run directory"),
        ("train sgd --dataset cifar10", "cifar10 needs --data-dir"),
        ("train sgd --dataset cifar10 --data-dir nowhere", "no cifar-10-batches-py in 'nowhere'"),
        ("train --config nope.json", "the config 'nope.json' cannot be read: No such file or directory"),
        ("train --config", "--config needs a value"),
        ("train --resume nope", "'nope' is no run directory"),
        ("train --resume", "--resume needs a value"),
        ("train sgd --resume nope", "--resume takes its options from the run: leave 'sgd' out"),
        ("train --resume nope --config c.json", "--resume takes its options from the run: leave '--config c.json' out"),
        ("train --resume nope --published", "--resume takes its options from the run: leave '--published' out"),
        ("train --resume nope --resume other", "leave '--resume other' out"),
        ("train --resume nope --out other", "leave '--out other' out"),
        ("train sgd --published --published", "--published is given more than once: leave one out"),
        ("train sgd --sweep workers=0,1", "a table could not tell some of these runs apart"),
        ("train kd-swa --sweep clean-teacher=a,b", "no result depends on what differs in them, of --clean-teacher"),
        ("evaluate nope --attack-seed -1", "attack_seed must lie in [0, 2**62), got -1"),
        ("train sgd --split-seed -1", "split_seed must lie in [0, 2**62), got -1"),
        ("report nope", "'nope' is no run directory"),
        ("report nope --ot x", "unknown option '--ot'. Did you mean '--out'?"),
        ("report nope --out", "--out needs a value"),
        ("demo --ot x", "unknown option '--ot'. Did you mean '--out'?"),
        ("recipes --all", "takes no options, got '--all'"),
    ],
)
def test_a_mistake_is_one_line(lethe_command, words, message):
    status, output, errors = lethe_command(*words.split())
    assert status == 2
    assert errors.startswith("lethe: error: ")
    assert message in errors
    assert errors.count("\n") == 1
    assert errors.endswith("\n")
    assert output == ""
    assert list(Path.cwd().iterdir()) == []


def test_the_installed_command_shows_no_traceback(tmp_path):
    lethe = Path(sys.executable).with_name("lethe")
    done = subprocess.run([lethe, "train", "fomoo"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("lethe: error: unknown recipe 'fomoo'. Did you mean 'fomo'?")
    assert done.stderr.count("\n") == 1


def test_an_existing_run_directory_is_left_as_it_was(train):
    Path("mine").mkdir()
    Path("mine/precious.txt").write_text("kept")
    status, _, errors = train("sgd", "--out", "mine")
    assert status == 2
    assert errors.startswith("lethe: error: the run directory 'mine' exists: choose another --out")
    assert [path.name for path in Path("mine").iterdir()] == ["precious.txt"]
    assert Path("mine/precious.txt").read_text() == "kept"


def test_a_config_of_another_recipe_is_refused(lethe_command):
    Path("c.json").write_text(json.dumps({"recipe": "amp"}))
    status, _, errors = lethe_command("train", "sgd", "--config", "c.json")
    assert (status, errors.count("\n")) == (2, 1)
    assert "'c.json' is a config of 'amp', not of 'sgd': leave the recipe out" in errors


def test_a_mistake_in_a_config_is_one_line(lethe_command):
    Path("c.json").write_text(json.dumps({"recipe": "amp", "amp": {"epsilom": 1.0}}))
    status, _, errors = lethe_command("train", "--config", "c.json")
    assert (status, errors.count("\n")) == (2, 1)
    assert "unknown option 'epsilom'. Did you mean 'epsilon'?" in errors


def test_a_finished_run_is_not_resumed(train, lethe_command):
    assert train("sgd", "--out", "done")[0] == 0
    before = Path("done/metrics.jsonl").read_text()
    status, _, errors = lethe_command("train", "--resume", "done")
    assert status == 2
    assert errors == "lethe: error: the run 'done' is finished: see it with lethe report done.\n"
    assert Path("done/metrics.jsonl").read_text() == before


def test_an_unfinished_run_is_not_reported(train, lethe_command):
    assert train("sgd", "--out", "cut")[0] == 0
    Path("cut/summary.json").unlink()  # the last thing that a run writes
    status, _, errors = lethe_command("report", "cut", "--out", "r")
    assert (status, errors.count("\n")) == (2, 1)
    assert "the run 'cut' is not finished: leave it out, or" in errors
    assert not Path("r").exists()


def test_of_a_folder_the_finished_runs_are_reported_and_the_others_named(train, lethe_command):
    for name in ("f/cut", "f/whole"):
        assert train("sgd", "--out", name, "--seed", str(len(name)))[0] == 0
    Path("f/cut/summary.json").unlink()
    status, output, errors = lethe_command("report", "f")
    assert (status, errors) == (0, "")
    assert output.startswith("left out, not finished: f/cut\n")
    assert "SGD" in output
    Path("f/whole/summary.json").unlink()
    status, _, errors = lethe_command("report", "f")
    assert (status, errors) == (2, "lethe: error: none of these 2 runs is finished: see lethe runs f.\n")


def test_fomo_that_would_never_forget_is_refused_before_anything_is_written(train):
    status, _, errors = train("fomo", "--start", "0.8", "--out", "x")  # of two epochs
    assert (status, errors.count("\n")) == (2, 1)
    assert "start 0.8 of 2 epochs is epoch 3, so nothing would be forgotten" in errors
    assert not Path("x").exists()


@pytest.mark.filterwarnings("ignore:overflow")
def test_training_that_diverges_is_one_line(train):
    status, _, errors = train("sgd", "--lr", "1e30", "--out", "x")
    assert status == 2
    assert errors.startswith("lethe: error: the loss is ")
    assert "training has diverged. Lower --lr" in errors


def test_a_report_that_cannot_be_written_is_one_line(train, lethe_command):
    assert train("sgd", "--out", "run")[0] == 0
    Path("report/table.md").mkdir(parents=True)
    status, _, errors = lethe_command("report", "run", "--out", "report")
    assert (status, errors.count("\n")) == (2, 1)
    assert "table.md" in errors


@pytest.mark.parametrize("words", [("report", "run", "--out", "file"), ("demo", "--out", "file/demo")])
def test_a_folder_that_cannot_be_made_is_one_line(train, lethe_command, words):
    train("sgd", "--out", "run")
    Path("file").write_text("kept")
    status, _, errors = lethe_command(*words)
    assert (status, errors.count("\n")) == (2, 1)
    assert "cannot be made" in errors
    assert Path("file").read_text() == "kept"


@pytest.mark.parametrize(("word", "meant"), [("--eps", "--epsilon"), ("--early-stopping", "--stop-patience")])
def test_what_options_are_called_elsewhere_is_understood(word, meant, capsys):
    assert main(["train", "at", word, "1"]) == 2
    assert f"Did you mean '{meant}'?" in capsys.readouterr().err


def test_a_report_of_nothing_says_what_it_wants_and_a_folder_stands_for_its_runs(tiny, tmp_path, capsys):
    assert main(["report", "--out", str(tmp_path / "report")]) == 2
    assert "lethe report needs at least one run" in capsys.readouterr().err
    for seed in (0, 1):
        tiny(SGDRecipe, tmp_path / "sweep" / str(seed), seed=seed, epochs=1).execute()
    assert main(["report", str(tmp_path / "sweep")]) == 0
    assert capsys.readouterr().err == ""
    assert main(["report", str(tmp_path / "sweep"), str(tmp_path / "sweep" / "1")]) == 2
    assert "leave one out of" in capsys.readouterr().err
