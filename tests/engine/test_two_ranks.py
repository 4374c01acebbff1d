"""Two real ranks, with gloo: under torchrun, and as the command line starts them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lethe.engine import RunDirectory, load_checkpoint

TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
LETHE = (sys.executable, "-m", "lethe")
TINY = (
    *("--train-size", "120", "--validation-size", "30", "--test-size", "30", "--width", "4", "--batch-size", "30"),
    *("--steps", "2", "--eval-steps", "2", "--device", "cpu", "--lr", "0.05", "--precision", "fp32"),
)


def start(*command):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(command, env=environment, start_new_session=True, **pipes)


def finish(process, seconds=120):
    """What it printed; none of its ranks outlives the test."""
    try:
        return process.communicate(timeout=seconds)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise


def wait_for(process, condition, seconds=100):
    until = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until, "the run did not get that far"
        time.sleep(0.02)


def lines(run):
    metrics = run / "metrics.jsonl"
    return len(metrics.read_text().splitlines()) if metrics.is_file() else 0


def losses(run):
    return [record["train/loss"] for record in RunDirectory.open(run).records()]


def test_two_ranks_give_the_result_of_one_process():
    process = start(*TORCHRUN, str(Path(__file__).with_name("two_ranks.py")))
    out, errors = finish(process, 240)
    assert process.returncode == 0, out + errors
    for name in ("at", "fomo", "fomo, measured", "fomo, all at once", "amp", "trades", "awp"):
        assert f"{name}, ddp: " in out
        assert f"{name}, fsdp2: " in out


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone") / "run"
    process = start(*LETHE, "train", "at", *TINY, "--epochs", "3", "--out", str(folder))
    _, errors = finish(process)
    assert process.returncode == 0, errors
    return folder


def test_the_command_line_starts_its_ranks_and_one_of_them_speaks(tmp_path, alone):
    folder = tmp_path / "run"
    process = start(*LETHE, "train", "at", *TINY, "--epochs", "3", "--devices", "2", "--out", str(folder))
    out, errors = finish(process)
    assert (process.returncode, errors) == (0, "")
    assert out.count("written:") == 1
    assert losses(folder) == pytest.approx(losses(alone), abs=1e-4)
    assert RunDirectory.open(folder).environment()["processes"] == 2
    again = start(*LETHE, "train", "at", *TINY, "--devices", "2", "--out", str(folder))
    _, errors = finish(again)
    assert again.returncode == 2
    assert errors.count("lethe: error: the run directory") == 1


def test_a_killed_rank_ends_the_job_and_the_run_goes_on_with_two_ranks_or_with_one(tmp_path, alone):
    folder = tmp_path / "run"
    options = (*TINY, "--epochs", "40", "--checkpoint-minutes", "0", "--out", str(folder))
    process = start(*TORCHRUN, "-m", "--", "lethe", "train", "at", *options)
    wait_for(process, lambda: lines(folder) >= 2)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    killed = time.monotonic()
    os.kill(int(children[-1]), signal.SIGKILL)
    out, errors = finish(process, 60)
    assert process.returncode != 0
    assert time.monotonic() - killed < 60
    assert "SIGKILL" in out + errors or "Signal 9" in out + errors
    done = load_checkpoint(folder / "checkpoints" / "last.pt")["epoch"]
    assert 0 < done < 40
    stopped = start(*TORCHRUN, "-m", "--", "lethe", "train", "--resume", str(folder))
    wait_for(stopped, lambda: lines(folder) >= done + 2)
    *_, second = Path(f"/proc/{stopped.pid}/task/{stopped.pid}/children").read_text().split()
    os.kill(int(second), signal.SIGTERM)  # a cluster's scheduler asks all ranks; one that asks one alone stops all
    out, errors = finish(stopped, 60)
    assert f"go on with: lethe train --resume {folder}" in out, out + errors
    resumed = start(*LETHE, "train", "--resume", str(folder))
    out, errors = finish(resumed)
    assert (resumed.returncode, errors) == (0, "")
    assert "goes on with 1 in place of 2 devices: alike, but not to the bit" in out
    assert len(losses(folder)) == 40
    assert losses(folder)[:3] == pytest.approx(losses(alone)[:1] + losses(folder)[1:3], abs=1e-4)


def test_two_ranks_stopped_and_resumed_end_in_the_same_bits(tmp_path, assert_same_bits):
    folders = [tmp_path / "left-alone", tmp_path / "stopped"]
    options = (*TINY, "--epochs", "6", "--start", "0.34", "--period", "1", "--devices", "2")
    finish(start(*LETHE, "train", "fomo", *options, "--out", str(folders[0])))
    stopped = start(*LETHE, "train", "fomo", *options, "--out", str(folders[1]))
    wait_for(stopped, lambda: lines(folders[1]) >= 1)
    os.kill(stopped.pid, signal.SIGTERM)
    out, _ = finish(stopped)
    assert "go on with" in out
    (folders[1] / "checkpoints" / "last.pt").unlink()  # of which one process tells, not two
    resumed = start(*LETHE, "train", "--resume", str(folders[1]))
    out, errors = finish(resumed)
    assert (resumed.returncode, errors) == (0, "")
    assert out.count("Going on from the one before it") == 1
    for name in ("last", "best", "best-stable"):
        assert_same_bits(*(load_checkpoint(folder / "checkpoints" / f"{name}.pt") for folder in folders))
