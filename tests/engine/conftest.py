import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lethe.engine import RunDirectory, load_checkpoint

KILLS = int(os.environ.get("LETHE_KILLS", "20"))  # of test_kill.py: they want runs long enough
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


def differences(one, two, where=""):
    if isinstance(one, torch.Tensor):
        same = isinstance(two, torch.Tensor) and one.dtype == two.dtype and torch.equal(one, two)
        return [] if same else [where]
    if type(one) is not type(two):
        return [where]
    if isinstance(one, dict):
        if list(one) != list(two):
            return [where]
        return [found for key in one for found in differences(one[key], two[key], f"{where}/{key}")]
    if isinstance(one, (list, tuple)):
        if len(one) != len(two):
            return [where]
        return [
            found for i, pair in enumerate(zip(one, two, strict=True)) for found in differences(*pair, f"{where}/{i}")
        ]
    return [] if one == two else [where]


@pytest.fixture(scope="session")
def assert_same_bits():
    """Assert that two nested states are equal to the bit; the message names every place that is not."""

    def check(one, two):
        assert differences(one, two) == []

    return check


@pytest.fixture(scope="session")
def zygote():
    """Run a command in a process of its own: ``zygote(words, kill, limit)``; see zygote.py."""
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    script = Path(__file__).with_name("zygote.py")
    with subprocess.Popen(
        [sys.executable, str(script)], env={**os.environ, "OMP_NUM_THREADS": "1"}, **streams
    ) as process:

        def run(words, kill=None, limit=None):
            process.stdin.write(json.dumps({"words": list(map(str, words)), "kill": kill, "limit": limit}) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield run
        process.stdin.close()


@pytest.fixture(scope="session")
def alone(zygote, tmp_path_factory):
    """Runs that nobody stops: ``alone(recipe)`` gives the command, its folder, and the seconds a step took."""
    made = {}

    def run(recipe):
        if recipe not in made:
            folder = tmp_path_factory.mktemp("alone") / recipe
            done = zygote([*COMMANDS[recipe], "--out", folder])
            assert (done["status"], done["errors"]) == (0, "")
            made[recipe] = COMMANDS[recipe], folder, done["seconds"] / (7 * int(FIXED[-1]))
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
