"""Corrupted labels: how many, which, and how."""

import pytest
import torch

from lethe.data import DataConfig, ImageSet, load
from lethe.data._label_noise import with_label_noise


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (0.003, 0), (0.1, 10), (0.333, 33), (1.0, 100)])
def test_exactly_that_many_labels_become_wrong(share, count):
    labels = torch.arange(100) % 10
    data = ImageSet(torch.zeros(100, 1, 2, 2), labels.clone(), 10)
    noisy = with_label_noise(data, share, torch.Generator().manual_seed(0))
    assert int((noisy.labels != labels).sum()) == count
    assert noisy.labels.min() >= 0
    assert noisy.labels.max() < 10
    assert torch.equal(data.labels, labels)  # the set that was given is not changed


def test_every_wrong_class_is_drawn_about_equally_often():
    data = ImageSet(torch.zeros(9000, 1, 1, 1), torch.full((9000,), 3), 10)
    noisy = with_label_noise(data, 1.0, torch.Generator().manual_seed(0))
    counts = torch.bincount(noisy.labels, minlength=10)
    assert counts[3] == 0
    others = counts[torch.arange(10) != 3]
    assert others.min() > 850  # 1,000 expected, deviation 30
    assert others.max() < 1150


def test_noise_falls_on_training_images_alone():
    clean, noisy = load(DataConfig(split_seed=1)), load(DataConfig(split_seed=1, label_noise=0.25))
    assert torch.equal(clean.validation.labels, noisy.validation.labels)
    assert torch.equal(clean.test.labels, noisy.test.labels)
    assert int((clean.train.labels != noisy.train.labels).sum()) == noisy.noisy_labels == 250
    assert "250 training labels corrupted" in str(noisy)


def test_the_same_split_seed_corrupts_the_same_labels():
    one, two = (load(DataConfig(split_seed=5, label_noise=0.4)).train.labels for _ in range(2))
    assert torch.equal(one, two)
