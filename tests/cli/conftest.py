import pytest

from lethe.cli import main

SMALL = (
    *("--train-size", "100", "--validation-size", "50", "--test-size", "60", "--width", "4"),
    *("--epochs", "2", "--batch-size", "32", "--device", "cpu"),
)


@pytest.fixture
def lethe_command(tiny, tmp_path, monkeypatch, capsys):
    """Run a command in an empty folder: ``lethe_command("train", "sgd", ...)`` gives status, output and errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def call(*words):
        status = main(list(words))
        return status, *capsys.readouterr()

    return call


@pytest.fixture
def train(lethe_command):
    """Run ``lethe train`` on few images for two epochs: ``train("sgd", "--out", "x")``."""
    return lambda *words: lethe_command("train", *words, *SMALL)
