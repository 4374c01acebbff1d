"""Runs that are killed, for real, and that go on by the command line to the same bits.

Each of four recipes is killed 20 times, by SIGKILL, each time in a process of its own that ``zygote.py`` forks; the
environment variable LETHE_KILLS asks for another number, as ``make kills`` does.
"""

import os
import random
import signal
import subprocess
import sys

import pytest

from lethe.engine import load_checkpoint

KILLS = int(os.environ.get("LETHE_KILLS", "20"))
AIMED = {
    "at": [("saving", "half"), ("attack", "end"), ("evaluating", "begin"), ("saving", "end")],
    "fomo": [("forgetting", "end"), ("forgetting", "begin"), ("saving", "half"), ("writing", "end")],
    "amp": [("training", "begin"), ("saving", "half"), ("training", "end"), ("writing", "begin")],
    "lure": [("forgetting", "end"), ("forgetting", "begin"), ("saving", "half"), ("writing", "end")],
}
"""Kills at places that a random moment may miss, and at what moment there; the others are random."""


def place(folder):
    """How far the checkpoint of a run is: megabatch, epoch, steps, evaluated; None where there is none yet."""
    path = folder / "checkpoints" / "last.pt"
    if not path.is_file():
        return None
    state = load_checkpoint(path)
    steps = (state["progress"] or {}).get("batches")
    return state.get("place", {}).get("megabatch"), state["epoch"], steps, "trained" not in state


@pytest.mark.parametrize("recipe", list(AIMED))
def test_a_run_killed_again_and_again_ends_in_the_same_bits(zygote, alone, recipe, tmp_path, assert_equal_runs):
    folder, draw = tmp_path / "run", random.Random(recipe)
    command, whole, step = alone(recipe)
    aimed = dict(enumerate(AIMED[recipe], 2 + draw.randrange(max(1, KILLS // 4))))
    places, found = [], []
    for number in range(KILLS):
        begun = (folder / "config.json").is_file()
        # Every step is saved, so that a kill costs one, and the run gets through all of them.
        words = (command[0], "--resume", folder) if begun else (*command, "--out", folder, "--checkpoint-minutes", 0)
        if number in aimed:
            kill = {"in": aimed[number][0], "call": 1, "at": aimed[number][1]}
        else:  # each fifth perhaps before the first step, the others after some
            changes = 1 + draw.randrange(4) if number % 5 else 0
            seconds = draw.random() * step * (2 if changes else 15)
            kill = {"file": str(folder / "checkpoints" / "last.pt"), "changes": changes, "seconds": seconds}
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


@pytest.mark.parametrize(("recipe", "number"), [("fomo", signal.SIGTERM), ("lure", signal.SIGINT)])
def test_a_run_that_is_told_to_stop_saves_its_step_and_says_how_to_go_on(
    zygote, alone, tmp_path, assert_equal_runs, recipe, number
):
    folder, (command, whole, _) = tmp_path / "stopped", alone(recipe)
    file = str(folder / "checkpoints" / "last.pt")
    words = (*command, "--out", folder)
    stopped = zygote(words, {"file": file, "changes": 2, "seconds": 0.0, "number": number})
    assert (stopped["status"], stopped["errors"]) == (128 + number, "")
    assert "a checkpoint is saved first" in stopped["output"]
    assert f"go on with: lethe {command[0]} --resume {folder}" in stopped["output"]
    resumed = zygote((command[0], "--resume", folder))
    assert (resumed["status"], resumed["errors"]) == (0, "")
    assert_equal_runs(folder, whole)


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
