"""`lethe export`: weights that load into a bare network and compute the same."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from lethe.data import facts
from lethe.models import ModelConfig, build
from lethe.recipes import load_model


@pytest.mark.parametrize("checkpoint", [None, "last", "best-stable"])
def test_the_file_loads_into_the_network_that_it_names(train, lethe_command, checkpoint):
    train("fomo", "--out", "run", "--steps", "1", "--eval-steps", "1")
    words = () if checkpoint is None else ("--checkpoint", checkpoint, "--out", "here/weights.safetensors")
    status, output, errors = lethe_command("export", "run", *words)
    path = Path("run/best.safetensors" if checkpoint is None else "here/weights.safetensors")
    assert (status, errors, output) == (0, "", f"written: {path}\n")
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    assert metadata["checkpoint"] == (checkpoint or "best")
    assert metadata["image_size"] == "8"
    model = build(ModelConfig(**json.loads(metadata["model"])), *facts(metadata["dataset"]), 8).eval()
    model.load_state_dict(load_file(path))
    x = torch.rand(3, 1, 8, 8)
    assert torch.equal(model(x), load_model("run", checkpoint or "best")(x))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("nowhere", "is no run directory"),
        ("run --checkpoint bets", "has no checkpoint 'bets'"),
        ("run other", "takes one run"),
        ("run --checkpiont best", "Did you mean '--checkpoint'"),
        ("run --out run/config.json/x", "cannot be written"),
        ("run --out run/checkpoints", "is a folder: name a file with --out"),
    ],
)
def test_mistakes_are_told(train, lethe_command, words, message):
    train("sgd", "--out", "run")
    status, _, errors = lethe_command("export", *words.split())
    assert (status, errors.count("\n")) == (2, 1)
    assert message in errors


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc, in which nobody can write")
def test_what_the_writer_itself_finds_is_told(train, lethe_command):
    train("sgd", "--out", "run")
    status, _, errors = lethe_command("export", "run", "--out", "/proc/out.safetensors")
    assert (status, errors.count("\n")) == (2, 1)
    assert "'/proc/out.safetensors' cannot be written" in errors
