"""Runs that are killed or told to stop, for real, and resumed by the command line."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from lethe.engine import RunDirectory, load_checkpoint

LETHE = (sys.executable, "-c", "import sys; from lethe.cli import main; sys.exit(main())")
OPTIONS = (
    *("--train-size", "200", "--validation-size", "50", "--test-size", "50", "--width", "4", "--batch-size", "32"),
    *("--steps", "3", "--eval-steps", "2", "--epochs", "12", "--start", "0.25", "--period", "2", "--lr", "0.05"),
    *("--device", "cpu", "--seed", "3"),
)


def start(*words):
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([*LETHE, "train", *words], env=environment, **streams)


def wait_for(process, condition):
    until = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < until, "the run did not get that far"
        time.sleep(0.01)


def lines(run):
    metrics = run / "metrics.jsonl"
    return len(metrics.read_text().splitlines()) if metrics.is_file() else 0


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone") / "run"
    process = start("fomo", *OPTIONS, "--out", str(folder))
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return folder


@pytest.fixture
def equals_alone(alone, assert_same_bits):
    def check(folder):
        for name in ("last", "best", "best-stable"):
            one, two = (load_checkpoint(run / "checkpoints" / f"{name}.pt") for run in (folder, alone))
            assert_same_bits(one, two)
        records = [RunDirectory.open(run).records() for run in (folder, alone)]
        assert [{**r, "seconds": 0} for r in records[0]] == [{**r, "seconds": 0} for r in records[1]]
        assert any("event" in record for record in records[0])

    return check


def test_a_run_killed_at_random_moments_and_resumed_ends_with_the_same_bits(tmp_path, equals_alone):
    folder, draw = tmp_path / "killed", random.Random(1)
    killed = start("fomo", *OPTIONS, "--out", str(folder), "--checkpoint-minutes", "0")
    for kill in range(3):
        wait_for(killed, lambda kill=kill: lines(folder) >= 2 * kill + 2)
        time.sleep(draw.random() * 0.1)  # within the epoch, its attacks, or a checkpoint's writing
        killed.kill()
        killed.communicate()
        assert killed.returncode == -signal.SIGKILL
        assert RunDirectory.open(folder).summary() is None
        killed = start("--resume", str(folder))
    _, errors = killed.communicate(timeout=120)
    assert killed.returncode == 0, errors
    equals_alone(folder)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_told_to_stop_saves_its_step_and_says_how_to_go_on(tmp_path, equals_alone, number):
    folder = tmp_path / "stopped"
    stopped = start("fomo", *OPTIONS, "--out", str(folder))
    wait_for(stopped, lambda: lines(folder) >= 4)
    stopped.send_signal(number)
    output, errors = stopped.communicate(timeout=60)
    assert (stopped.returncode, errors) == (128 + number, "")
    assert "a checkpoint is saved first" in output
    assert f"go on with: lethe train --resume {folder}" in output
    resumed = start("--resume", str(folder))
    _, errors = resumed.communicate(timeout=120)
    assert resumed.returncode == 0, errors
    equals_alone(folder)


def test_a_second_signal_ends_the_process_at_once():
    script = """
import os, signal, time
from lethe.cli._signals import StopSignals
with StopSignals(lambda message: print(message, flush=True)) as signals:
    os.kill(os.getpid(), signal.SIGTERM)
    assert signals.received == signal.SIGTERM
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=50)
    assert done.returncode == -signal.SIGTERM
    assert "once more: stop at once" in done.stdout
