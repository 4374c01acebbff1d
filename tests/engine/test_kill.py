"""A run that is killed for real, and resumed by the command line."""

import os
import signal
import subprocess
import sys
import time

from lethe.engine import RunDirectory, load_checkpoint

LETHE = (sys.executable, "-c", "import sys; from lethe.cli import main; sys.exit(main())")
OPTIONS = (
    *("--train-size", "200", "--validation-size", "50", "--test-size", "50", "--width", "4", "--batch-size", "32"),
    *("--steps", "3", "--eval-steps", "2", "--epochs", "12", "--start", "0.25", "--period", "2", "--lr", "0.05"),
    *("--device", "cpu", "--seed", "3"),
)


def test_a_run_killed_in_the_middle_and_resumed_ends_with_the_same_bits(tmp_path, assert_same_bits):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def start(*words):
        streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen([*LETHE, "train", *words], env=environment, **streams)

    killed = start("fomo", *OPTIONS, "--out", str(tmp_path / "killed"))
    metrics, until = tmp_path / "killed" / "metrics.jsonl", time.monotonic() + 120
    while not (metrics.is_file() and len(metrics.read_text().splitlines()) >= 4):
        assert killed.poll() is None, killed.stderr.read()
        assert time.monotonic() < until, "the run did not get to its fourth epoch"
        time.sleep(0.01)
    killed.kill()
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    run = RunDirectory.open(tmp_path / "killed")
    assert run.summary() is None
    assert 3 <= load_checkpoint(run.checkpoint("last"))["epoch"] < 12

    alone = start("fomo", *OPTIONS, "--out", str(tmp_path / "alone"))
    resumed = start("--resume", str(run.path))
    for process in (alone, resumed):
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    for name in ("last", "best", "best-stable"):
        one, two = (load_checkpoint(tmp_path / folder / "checkpoints" / f"{name}.pt") for folder in ("killed", "alone"))
        assert_same_bits(one, two)
    records = [RunDirectory.open(tmp_path / folder).records() for folder in ("killed", "alone")]
    assert [{**r, "seconds": 0} for r in records[0]] == [{**r, "seconds": 0} for r in records[1]]
    assert any("event" in record for record in records[0])
