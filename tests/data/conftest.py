import os
import subprocess
import sys
from pathlib import Path

import pytest
from published import CIFAR10, md5, write_cifar10, write_svhn


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


@pytest.fixture(scope="session")
def tiny_imagenet_folder(tmp_path_factory):
    """A folder of 20 classes of the real Tiny ImageNet, in train and val; without one the test is skipped."""
    script = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "unpack.py"
    if not script.is_file():
        pytest.skip("no Tiny ImageNet: there is no shared/data/unpack.py beside the repository")
    folder = tmp_path_factory.mktemp("tiny-imagenet")
    subprocess.run([sys.executable, script, "tiny-imagenet", folder], check=True, capture_output=True)
    return str(folder / "tin20")


@pytest.fixture
def small_cifar10(tmp_path, monkeypatch):
    """Folder, images and labels of a small CIFAR-10, whose sums are taken for the published ones."""
    from torchvision.datasets import CIFAR10 as REAL

    images, labels = write_cifar10(tmp_path)
    sums = {name: md5(tmp_path / "cifar-10-batches-py" / name) for name in CIFAR10}
    monkeypatch.setattr(REAL, "train_list", [[name, sums[name]] for name in CIFAR10[:5]])
    monkeypatch.setattr(REAL, "test_list", [["test_batch", sums["test_batch"]]])
    meta = {"filename": "batches.meta", "key": "label_names", "md5": sums["batches.meta"]}
    monkeypatch.setattr(REAL, "meta", meta)
    return tmp_path, images, labels


@pytest.fixture
def small_svhn(tmp_path, monkeypatch):
    """Folder and images of a small SVHN, whose sums are taken for the published ones."""
    from torchvision.datasets import SVHN

    images = write_svhn(tmp_path)
    files = {part: f"{part}_32x32.mat" for part in images}
    entries = {part: ["nowhere", name, md5(tmp_path / name)] for part, name in files.items()}
    monkeypatch.setattr(SVHN, "split_list", entries)
    return tmp_path, images


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
