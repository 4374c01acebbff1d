"""Two processes never train one run at a time."""

import subprocess
import sys

import pytest
import torch

import lethe
from lethe.engine import Observer, Processes, RunDirectory, Stopped, alone
from lethe.recipes import AlmaRecipe, SGDRecipe

HOLD = """
import fcntl, os, sys, time
fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(float(sys.argv[2]))
"""


class Stops(Observer):
    def stop_asked(self):
        return True


@pytest.mark.parametrize("kind", [SGDRecipe, AlmaRecipe])
def test_a_run_that_another_process_trains_is_left_alone(kind, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("lethe.engine._run_lock.PATIENCE", 0.3)
    recipe = tiny(kind, tmp_path / "run")
    with pytest.raises(Stopped):
        recipe.execute(observer=Stops())
    files = {path: path.read_bytes() for path in sorted((tmp_path / "run").rglob("*")) if path.is_file()}
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "run"), "60"], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(lethe.LetheError, match="run' is being trained by another process"):
            recipe.execute(resume=RunDirectory.open(tmp_path / "run"))
        assert {path: path.read_bytes() for path in files} == files
        other.kill()  # the lock ends with the process
    recipe.execute(resume=RunDirectory.open(tmp_path / "run"))
    assert RunDirectory.open(tmp_path / "run").summary() is not None


def test_it_is_let_go_after_an_error(tmp_path):
    run, processes = RunDirectory(tmp_path), Processes(torch.device("cpu"))
    with pytest.raises(KeyError), alone(run, processes):
        raise KeyError
    with alone(run, processes):
        pass
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_runs_workers_hold_for_some_seconds_is_waited_for(tmp_path):
    run, processes = RunDirectory(tmp_path), Processes(torch.device("cpu"))
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path), "3"],
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout.readline() == "held\n"
        with alone(run, processes):
            assert other.wait(2.0) == 0  # it was over
