"""Runs that are killed, for real, and that go on by the command line to the same bits.

Each of four recipes is killed 20 times, by SIGKILL, each time in a process of its own that ``zygote.py`` forks; the
environment variable LETHE_KILLS asks for another number, as ``make kills`` does.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lethe.engine import RunDirectory, load_checkpoint

KILLS = int(os.environ.get("LETHE_KILLS", "20"))
LETHE = (sys.executable, "-c", "import sys; from lethe.cli import main; sys.exit(main())")
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}
SMALL = (
    *("--train-size", "200", "--test-size", "50", "--width", "4", "--batch-size", "32", "--lr", "0.05"),
    *("--dropout", "0.1", "--augment", "crop-flip", "--device", "cpu", "--seed", "3"),
)
FIXED = ("--validation-size", "50", "--epochs", str(max(12, 3 * KILLS // 5)))
ATTACK = ("--steps", "3", "--eval-steps", "2")
COMMANDS = {
    "at": ("train", "at", *SMALL, *FIXED, *ATTACK),
    "fomo": ("train", "fomo", *SMALL, *FIXED, *ATTACK, "--start", "0.25", "--period", "2"),
    "amp": ("train", "amp", *SMALL, *FIXED),
    "lure": ("anytime", "lure", *SMALL, "--megabatches", "4", "--epochs", str(max(6, 3 * KILLS // 10))),
}
AIMED = {
    "at": [("saving", "half"), ("attack", "end"), ("evaluating", "begin"), ("saving", "end")],
    "fomo": [("forgetting", "end"), ("forgetting", "begin"), ("saving", "half"), ("writing", "end")],
    "amp": [("training", "begin"), ("saving", "half"), ("training", "end"), ("writing", "begin")],
    "lure": [("forgetting", "end"), ("forgetting", "begin"), ("saving", "half"), ("writing", "end")],
}
"""Kills at places that a random moment may miss, and at what moment there; the others are random."""


@pytest.fixture(scope="module")
def zygote():
    """Run a command in a process of its own: ``zygote(words, kill, limit)``; see zygote.py."""
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    script = Path(__file__).with_name("zygote.py")
    with subprocess.Popen([sys.executable, str(script)], env=ONE_THREAD, **streams) as process:

        def run(words, kill=None, limit=None):
            process.stdin.write(json.dumps({"words": list(map(str, words)), "kill": kill, "limit": limit}) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield run
        process.stdin.close()


@pytest.fixture(scope="module")
def alone(zygote, tmp_path_factory):
    """Runs that nobody stops: ``alone(recipe)`` gives the folder and the seconds a step took."""
    made = {}

    def run(recipe):
        if recipe not in made:
            folder = tmp_path_factory.mktemp("alone") / recipe
            done = zygote([*COMMANDS[recipe], "--out", folder])
            assert (done["status"], done["errors"]) == (0, "")
            made[recipe] = folder, done["seconds"] / (7 * int(FIXED[-1]))
        return made[recipe]

    return run


@pytest.fixture
def assert_equal_runs(assert_same_bits):
    def check(one, two):
        files = [sorted(path.name for path in (run / "checkpoints").iterdir()) for run in (one, two)]
        assert files[0] == files[1]
        for name in files[0]:
            assert_same_bits(*(load_checkpoint(run / "checkpoints" / name) for run in (one, two)))
        records = [[{**r, "seconds": 0} for r in RunDirectory.open(run).records()] for run in (one, two)]
        assert records[0] == records[1]
        assert RunDirectory.open(one).summary() == RunDirectory.open(two).summary()

    return check


def place(folder):
    """How far the checkpoint of a run is: megabatch, epoch, steps; None where there is none yet."""
    path = folder / "checkpoints" / "last.pt"
    if not path.is_file():
        return None
    state = load_checkpoint(path)
    return state.get("place", {}).get("megabatch"), state["epoch"], (state["progress"] or {}).get("batches")


@pytest.mark.parametrize("recipe", list(COMMANDS))
def test_a_run_killed_again_and_again_ends_in_the_same_bits(zygote, alone, recipe, tmp_path, assert_equal_runs):
    folder, draw = tmp_path / "run", random.Random(recipe)
    whole, step = alone(recipe)
    command = COMMANDS[recipe]
    aimed = dict(zip(sorted(draw.sample(range(KILLS), 4)), AIMED[recipe], strict=True)) if KILLS >= 4 else {}
    places, found = [], []
    for number in range(KILLS):
        begun = (folder / "config.json").is_file()
        # Every step is saved, so that a kill costs one, and the run gets through all of them.
        words = (command[0], "--resume", folder) if begun else (*command, "--out", folder, "--checkpoint-minutes", 0)
        if number in aimed:
            kill = {"in": aimed[number][0], "call": 1 + draw.randrange(2), "at": aimed[number][1]}
            kill["call"] = 1 if kill["in"] == "forgetting" else kill["call"]
        else:  # before the first step, too
            file = str(folder / "checkpoints" / "last.pt")
            kill = {"file": file, "changes": draw.randrange(5), "seconds": draw.random() * 2 * step}
        killed = zygote(words, kill)
        assert killed["status"] == -signal.SIGKILL, killed
        places.append(place(folder) if begun or folder.exists() else None)
        found.append(killed["where"])
        if number in aimed:
            assert killed["where"] == aimed[number][0]
    ended = zygote((command[0], "--resume", folder))
    assert (ended["status"], ended["errors"]) == (0, "")
    assert_equal_runs(folder, whole)
    print(f"{recipe}: {KILLS} kills: {', '.join(f'{w} {p}' for w, p in zip(found, places, strict=True))}")
    assert len(set(places)) > KILLS / 2  # they fell all over the run
    within = [p for p in places if p is not None and p[2] is not None]
    assert len(within) >= KILLS / 4  # within epochs, too


def start(*words):
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([*LETHE, *map(str, words)], env=ONE_THREAD, **streams)


def wait_for(process, condition):
    until = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < until, "the run did not get that far"
        time.sleep(0.01)


def lines(run):
    metrics = run / "metrics.jsonl"
    return len(metrics.read_text().splitlines()) if metrics.is_file() else 0


@pytest.mark.parametrize(("recipe", "number"), [("fomo", signal.SIGTERM), ("lure", signal.SIGINT)])
def test_a_run_that_is_told_to_stop_saves_its_step_and_says_how_to_go_on(
    zygote, alone, tmp_path, assert_equal_runs, recipe, number
):
    folder, command = tmp_path / "stopped", COMMANDS[recipe][0]
    stopped = start(*COMMANDS[recipe], "--out", folder)
    wait_for(stopped, lambda: lines(folder) >= 4)
    stopped.send_signal(number)
    output, errors = stopped.communicate(timeout=60)
    assert (stopped.returncode, errors) == (128 + number, "")
    assert "a checkpoint is saved first" in output
    assert f"go on with: lethe {command} --resume {folder}" in output
    resumed = zygote((command, "--resume", folder))
    assert (resumed["status"], resumed["errors"]) == (0, "")
    assert_equal_runs(folder, alone(recipe)[0])


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
