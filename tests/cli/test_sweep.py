"""Several runs by one command: each its own, one table, and the same command goes on."""

import statistics
from pathlib import Path

import pytest
import torch

from lethe.engine import RunDirectory

SWEEP = ("sgd", "--seeds", "0:2", "--sweep", "lr=0.1,0.01", "--out", "s")


def test_every_pair_is_a_run_and_equals_the_run_by_itself(train, assert_same_weights):
    status, output, errors = train(*SWEEP)
    assert (status, errors) == (0, "")
    assert sorted(path.name for path in Path("s").iterdir()) == [
        "lr0.01-seed0",
        "lr0.01-seed1",
        "lr0.1-seed0",
        "lr0.1-seed1",
    ]
    assert "SGD, lr 0.1 " in output
    assert "SGD, lr 0.01" in output
    assert "run 1 of 4\nsgd on digits, small-resnet of width 4, 2 epochs, seed 0: " in output
    assert " 2 epochs, seed 1: s/lr0.01-seed1\n" in output
    train("sgd", "--lr", "0.01", "--seed", "1", "--out", "alone")
    assert_same_weights("alone", "s/lr0.01-seed1")


def test_the_same_command_skips_what_is_finished_and_goes_on_with_what_was_stopped(train, assert_same_weights):
    train(*SWEEP)
    before = {path: path.stat().st_mtime_ns for path in Path("s").rglob("*") if "lr0.1-seed1" not in str(path)}
    train("sgd", "--lr", "0.1", "--seed", "1", "--out", "alone")
    stopped = RunDirectory.open(Path("s/lr0.1-seed1"))
    (stopped.path / "summary.json").unlink()
    stopped.checkpoint("last").unlink()
    status, output, _ = train(*SWEEP)
    assert status == 0
    assert output.count("\nrun ") + output.startswith("run ") == 1
    assert "run 2 of 4" in output
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert_same_weights("alone", "s/lr0.1-seed1")


def test_without_out_it_lies_under_runs(train):
    status, output, _ = train("sgd", "--seeds", "3,7")
    assert status == 0
    assert sorted(path.name for path in Path("runs/sgd-digits-sweep").iterdir()) == ["seed3", "seed7"]
    assert "written: 2 runs in runs/sgd-digits-sweep" in output


def test_a_switch_is_swept_on_and_off(train):
    status, output, errors = train("sgd", "--sweep", "nesterov=true,False", "--out", "s")
    assert (status, errors) == (0, "")
    found = {path.name: RunDirectory.open(path).config()["sgd"]["nesterov"] for path in Path("s").iterdir()}
    assert found == {"nesterov": True, "no-nesterov": False}
    assert "SGD, nesterov True" in output
    assert "SGD, nesterov False" in output


def test_the_table_has_a_mean_and_an_interval(train):
    _, output, _ = train("sgd", "--seeds", "0:3", "--out", "s")
    shown = " ".join(output.split())
    assert "95 % interval" in shown or "interval)" in shown
    ends = [1 - RunDirectory.open(path).records()[-1]["test/clean"] for path in Path("s").iterdir()]
    mean, half = 100 * statistics.fmean(ends), 100 * 4.3027 * statistics.stdev(ends) / 3**0.5  # t with 2 degrees
    assert f"{mean:.1f} ({max(0.0, mean - half):.1f} to {min(100.0, mean + half):.1f})" in shown


def test_streams_are_swept_too_and_the_same_command_goes_on(lethe_command):
    words = ("anytime", "alma", "--seeds", "0:2", "--sweep", "replay=full,none", "--train-size", "60", "--out", "s")
    words = (*words, "--test-size", "40", "--width", "4", "--epochs", "1", "--megabatches", "2", "--device", "cpu")
    status, output, errors = lethe_command(*words)
    assert (status, errors) == (0, "")
    assert "ALMA (warm start), replay full" in output
    before = Path("s/replayfull-seed1/metrics.jsonl").read_text()
    Path("s/replayfull-seed1/summary.json").unlink()
    status, output, errors = lethe_command(*words)
    assert (status, errors) == (0, "")
    assert output.count("\nrun ") + output.startswith("run ") == 1
    assert Path("s/replayfull-seed1/metrics.jsonl").read_text() == before
    assert Path("s/replayfull-seed1/summary.json").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("sgd --seeds 0-3", "--seeds wants FIRST:AFTER or a list, got '0-3'"),
        ("sgd --seeds 3:3", "--seeds wants FIRST:AFTER"),
        ("sgd --sweep lr", "--sweep wants OPTION=VALUE"),
        ("sgd --sweep lr=0.1,", "--sweep wants OPTION=VALUE"),
        ("sgd --sweep lr=0.1,0.1", "--lr has the same value twice"),
        ("sgd --sweep lr=0.1,0.2 --lr 0.3", "--lr is given more than once"),
        ("sgd --seeds 0:2 --seed 3", "--seed is given more than once"),
        ("sgd --sweep epohcs=1,2", "unknown option '--epohcs'. Did you mean '--epochs'?"),
        ("sgd --sweep lr=0.1,fast", "lr"),
        ("sgd --sweep lr=0.1,0.10", "two of these runs would be the same"),
        ("sgd --seeds 0:2 --resume runs/x", "--resume does not go with --seeds or --sweep"),
        ("sgd --sweep out=a,b", "--out cannot be swept"),
        ("sgd --sweep resume=a,b", "--resume cannot be swept"),
        ("sgd --sweep nesterov=yes,no", "--nesterov is on or off: sweep it as nesterov=true,false, not 'yes'"),
        ("sgd --sweep nesterov=true,True", "two of these runs would be the same"),
        ("sgd --sweep nesterov=true,false --no-nesterov", "--nesterov is given more than once"),
        ("sgd --sedes 0:2", "unknown option '--sedes'. Did you mean '--seeds'?"),
    ],
)
def test_a_mistake_is_told_before_the_first_run(lethe_command, words, message):
    status, _, errors = lethe_command("train", *words.split(), "--epochs", "1")
    assert status == 2
    assert message in errors
    assert errors.count("\n") == 1
    assert not Path("runs").exists()


def test_a_run_that_diverges_does_not_cost_the_others(train):
    words = ("sgd", "--sweep", "lr=1e30,0.1", "--out", "s")
    for _ in range(2):  # the second time the one that is finished is only shown
        status, output, errors = train(*words)
        assert status == 2
        assert "s/lr1e30: error: the loss is" in output
        assert "1 of 2 runs failed: s/lr1e30" in errors
        assert "Test error" in output
    assert (Path("s/lr0.1") / "summary.json").is_file()


def test_a_folder_with_another_run_is_left_alone(train):
    train(*SWEEP)
    Path("s/lr0.01-seed1/config.json").write_text(
        Path("s/lr0.01-seed1/config.json").read_text().replace('"momentum": 0.9', '"momentum": 0.8')
    )
    status, _, errors = train(*SWEEP)
    assert status == 2
    assert "'s/lr0.01-seed1' holds a run with other options" in errors


@pytest.fixture
def assert_same_weights():
    def check(one, two):
        states = [torch.load(Path(run) / "checkpoints" / "last.pt", weights_only=True)["model"] for run in (one, two)]
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])

    return check
