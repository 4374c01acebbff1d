"""Runs of the study, written by hand."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

STUDY = Path(__file__).parents[2] / "results" / "fomo-small"


@pytest.fixture
def study():
    """The folder of its scripts and tables."""
    return STUDY


@pytest.fixture
def finished(tmp_path):
    """Write a finished run of three evaluated epochs, of which validation images choose the second."""

    def write(name, robust, clean=(0.1, 0.2, 0.4), prefix="stable/", **evaluated):
        """``robust`` and ``clean`` are accuracies on test images; the others by checkpoint, and of these by attack."""
        run = tmp_path / name
        (run / "evaluations").mkdir(parents=True)
        for file in ("config", "summary"):
            (run / f"{file}.json").write_text("{}")
        lines = []
        for epoch, accuracies in enumerate(zip((0.2, 0.4, 0.3), robust, clean, strict=True), start=1):
            keys = ("validation/robust", "test/robust", "test/clean")
            measured = {prefix + key: accuracy for key, accuracy in zip(keys, accuracies, strict=True)}
            lines.append(json.dumps({"epoch": epoch, **measured}) + "\n")
        (run / "metrics.jsonl").write_text("".join(lines))
        for checkpoint, accuracy in evaluated.items():
            path = run / "evaluations" / f"{checkpoint.replace('_', '-')}-test200-linf.json"
            path.write_text(json.dumps({"robust accuracy": accuracy, "clean accuracy": 0.49}))
        return run

    return write


@pytest.fixture
def script():
    """Run one of the study's scripts; its output, line by line."""

    def run(name, *arguments):
        command = [sys.executable, STUDY / name, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()

    return run
