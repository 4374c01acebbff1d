"""`lethe runs`: how far runs are."""

import json
from pathlib import Path


def test_finished_and_stopped_runs_are_listed(train, lethe_command):
    train("at", "--out", "runs/at", "--steps", "1", "--eval-steps", "1")
    train("fomo", "--out", "runs/deep/fomo", "--steps", "1", "--eval-steps", "1", "--seed", "4")
    Path("runs/deep/fomo/summary.json").unlink()
    status, output, errors = lethe_command("runs")
    assert (status, errors) == (0, "")
    at, fomo = (next(line for line in output.splitlines() if name in line) for name in ("│ at ", "deep/fomo"))
    assert [word.strip() for word in at.split("│")[1:6]] == ["at", "at", "0", "2/2", "finished"]
    assert "robust" in at
    assert [word.strip() for word in fomo.split("│")[2:5]] == ["fomo", "4", "2/2"]
    assert "0 min ago" in fomo
    assert "stable" in output


def test_a_stream_shows_how_far_it_is_and_its_last_accuracy(lethe_command):
    words = ("--train-size", "60", "--test-size", "40", "--width", "4", "--epochs", "2", "--megabatches", "2")
    lethe_command("anytime", "alma", *words, "--out", "runs/alma")
    _, output, _ = lethe_command("runs")
    (line,) = [line for line in output.splitlines() if "alma" in line]
    assert [word.strip() for word in line.split("│")[2:6]] == ["alma", "0", "4/4", "finished"]
    last = json.loads(Path("runs/alma/metrics.jsonl").read_text().splitlines()[-1])
    assert line.split("│")[-2].strip() == f"{100 * last['test/clean']:.1f}"
    assert "megabatch 2" in " ".join(output.split())


def test_an_adversarial_stream_shows_its_robust_accuracy(lethe_command):
    words = ("--train-size", "60", "--test-size", "40", "--width", "4", "--epochs", "1", "--megabatches", "2")
    lethe_command("anytime", "alma", *words, "--adversarial", "--steps", "1", "--eval-steps", "1", "--out", "runs/alma")
    _, output, _ = lethe_command("runs")
    (line,) = [line for line in output.splitlines() if "alma" in line]
    last = json.loads(Path("runs/alma/metrics.jsonl").read_text().splitlines()[-1])
    assert line.split("│")[-2].strip() == f"{100 * last['test/robust']:.1f}"
    assert "robust" in output


def test_a_damaged_run_does_not_hide_the_others(train, lethe_command):
    train("sgd", "--out", "runs/sgd")
    Path("runs/broken").mkdir()
    Path("runs/broken/config.json").write_text("{")
    Path("runs/foreign").mkdir()
    Path("runs/foreign/config.json").write_text("[]")
    Path("runs/sgd").rename("runs/sgd[bold]")  # which is no markup
    status, output, _ = lethe_command("runs", "runs")
    assert status == 0
    assert "cannot be" in output
    assert "finished" in output
    assert "foreign" in output
    assert "sgd[bold]" in output


def test_mistakes_are_told(lethe_command):
    for words, message in (
        (("runs",), "there is no folder 'runs'"),
        (("runs", "."), "no runs in '.'"),
        (("runs", "--out"), "takes one folder"),
    ):
        status, _, errors = lethe_command(*words)
        assert (status, errors.count("\n")) == (2, 1)
        assert message in errors
