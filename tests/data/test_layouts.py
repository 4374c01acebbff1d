"""CIFAR-100 and SVHN in their published layouts, with a few made-up images; their real checksums are put aside."""

import hashlib
import pickle

import numpy as np
import pytest
import torch

from lethe.data import DataConfig, facts, load


def md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


def test_cifar100_is_read_as_published(tmp_path, monkeypatch):
    from torchvision.datasets import CIFAR100

    rng, folder = np.random.default_rng(0), tmp_path / "cifar-100-python"
    folder.mkdir()
    images = {part: rng.integers(0, 256, (n, 3072), dtype=np.uint8) for part, n in (("train", 12), ("test", 5))}
    for part, data in images.items():
        content = {"data": data, "fine_labels": [*range(90, 90 + len(data) - 2), 0, 99]}
        (folder / part).write_bytes(pickle.dumps(content))
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": [str(i) for i in range(100)]}))
    monkeypatch.setattr(CIFAR100, "train_list", [["train", md5(folder / "train")]])
    monkeypatch.setattr(CIFAR100, "test_list", [["test", md5(folder / "test")]])
    meta = {"filename": "meta", "key": "fine_label_names", "md5": md5(folder / "meta")}
    monkeypatch.setattr(CIFAR100, "meta", meta)
    splits = load(DataConfig(dataset="cifar100", data_dir=str(tmp_path), validation_size=2))
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (10, 2, 5)
    assert splits.train.classes == 100
    assert sorted(splits.test.labels.tolist()) == [0, 90, 91, 92, 99]
    expected = torch.from_numpy(images["test"]).view(-1, 3, 32, 32)
    assert torch.equal(splits.test.images, expected)


def test_svhn_is_read_as_published(tmp_path, monkeypatch):
    from scipy.io import savemat
    from torchvision.datasets import SVHN

    rng, entries = np.random.default_rng(0), {}
    images = {
        part: rng.integers(0, 256, (32, 32, 3, count), dtype=np.uint8) for part, count in (("train", 8), ("test", 4))
    }
    for part, data in images.items():
        # Published SVHN calls the digit 0 class 10.
        path = tmp_path / f"{part}_32x32.mat"
        savemat(path, {"X": data, "y": np.array([10, *range(1, data.shape[3])], dtype=np.uint8)[:, None]})
        entries[part] = ["nowhere", path.name, md5(path)]
    monkeypatch.setattr(SVHN, "split_list", entries)
    splits = load(DataConfig(dataset="svhn", data_dir=str(tmp_path), validation_size=2))
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (6, 2, 4)
    assert splits.test.labels.tolist() == [0, 1, 2, 3]
    assert torch.equal(splits.test.images[1], torch.from_numpy(images["test"][:, :, :, 1]).permute(2, 0, 1))


@pytest.mark.parametrize(
    ("dataset", "classes"), [("digits", 10), ("cifar10", 10), ("cifar100", 100), ("svhn", 10), ("tiny-imagenet", 200)]
)
def test_facts_are_of_images_between_0_and_1(dataset, classes):
    found, mean, std = facts(dataset)
    assert found == classes
    assert all(0.1 < value < 0.6 for value in mean)
    assert all(0.1 < value < 0.4 for value in std)
