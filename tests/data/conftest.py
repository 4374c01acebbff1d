import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def cifar10_folder(tmp_path_factory):
    """A folder that holds the real ``cifar-10-batches-py``; without one the test is skipped."""
    named = os.environ.get("LETHE_CIFAR10")
    if named is not None:
        assert (Path(named) / "cifar-10-batches-py").is_dir(), "LETHE_CIFAR10 names a folder without CIFAR-10"
        return named
    script = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "unpack.py"
    if not script.is_file():
        pytest.skip("no CIFAR-10: let LETHE_CIFAR10 name a folder that holds cifar-10-batches-py")
    folder = tmp_path_factory.mktemp("cifar10")
    subprocess.run([sys.executable, script, "cifar10", folder], check=True, capture_output=True)
    return str(folder)


@pytest.fixture
def no_network(monkeypatch):
    """Refuse every connection, and list what was tried."""
    tried = []

    def refuse(*arguments, **options):
        tried.append(arguments)
        raise OSError("a test tried to reach the network")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    return tried
