"""CIFAR-10, CIFAR-100 and SVHN in their published layouts, with few made-up images; real checksums are put aside."""

import pickle

import numpy as np
import pytest
import torch
from published import md5

import lethe
from lethe.data import DataConfig, facts, load


def test_cifar10_is_read_as_published(small_cifar10):
    root, images, labels = small_cifar10
    splits = load(DataConfig(dataset="cifar10", data_dir=str(root), validation_size=3))
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (17, 3, 4)
    assert torch.equal(splits.test.images, torch.from_numpy(images["test_batch"]).view(-1, 3, 32, 32))
    assert splits.test.labels.tolist() == labels["test_batch"]
    truth = {
        row.tobytes(): label
        for name in images
        if name != "test_batch"
        for row, label in zip(images[name], labels[name], strict=True)
    }
    found = {}
    for part in (splits.train, splits.validation):
        found |= {i.numpy().tobytes(): n for i, n in zip(part.images, part.labels.tolist(), strict=True)}
    assert found == truth


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


def test_svhn_is_read_as_published(small_svhn):
    root, images = small_svhn
    splits = load(DataConfig(dataset="svhn", data_dir=str(root), validation_size=2))
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (6, 2, 4)
    assert splits.test.labels.tolist() == [0, 1, 2, 3]
    assert torch.equal(splits.test.images[1], torch.from_numpy(images["test"][:, :, :, 1]).permute(2, 0, 1))


def test_svhns_extra_images_join_the_training_images(small_svhn):
    root, images = small_svhn
    splits = load(DataConfig(dataset="svhn", data_dir=str(root), svhn_extra=True, validation_size=2))
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (11, 2, 4)
    truth = {}
    for part in ("train", "extra"):
        for at in range(images[part].shape[3]):
            truth[images[part][:, :, :, at].transpose(2, 0, 1).tobytes()] = at
    found = {}
    for part in (splits.train, splits.validation):
        found |= {i.numpy().tobytes(): n for i, n in zip(part.images, part.labels.tolist(), strict=True)}
    assert found == truth
    assert splits.test.labels.tolist() == [0, 1, 2, 3]


def test_extra_images_are_svhns_alone():
    with pytest.raises(lethe.LetheError, match="svhn_extra adds images to svhn, not to cifar10"):
        DataConfig(dataset="cifar10", svhn_extra=True)


def test_the_sums_of_svhns_files_are_the_published_ones():
    from torchvision.datasets import SVHN

    assert {part: entry[1:] for part, entry in SVHN.split_list.items()} == {
        "train": ["train_32x32.mat", "e26dedcc434d2e4c54c9b2d4a06d8373"],
        "test": ["test_32x32.mat", "eb5a983be6a315427106f1b164d9cef3"],
        "extra": ["extra_32x32.mat", "a93ce644f1a588dc4d68dda5feec44a7"],
    }


@pytest.mark.parametrize(
    ("dataset", "classes"), [("digits", 10), ("cifar10", 10), ("cifar100", 100), ("svhn", 10), ("tiny-imagenet", 200)]
)
def test_facts_are_of_images_between_0_and_1(dataset, classes):
    found, mean, std = facts(dataset)
    assert found == classes
    assert all(0.1 < value < 0.6 for value in mean)
    assert all(0.1 < value < 0.4 for value in std)
    assert facts(DataConfig(dataset=dataset)) == (found, mean, std)
