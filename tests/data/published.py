"""Small data sets in the exact layout of the published ones."""

import hashlib
import pickle

import numpy as np

CIFAR10 = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta"]


def md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


def write_cifar10(root):
    """Pickled batches of four images each; their images, (4, 3072), and labels by name of the file."""
    rng, folder = np.random.default_rng(0), root / "cifar-10-batches-py"
    folder.mkdir()
    images = {name: rng.integers(0, 256, (4, 3072), dtype=np.uint8) for name in CIFAR10[:-1]}
    labels = {name: [int(label) for label in rng.integers(0, 10, 4)] for name in images}
    for name, data in images.items():
        (folder / name).write_bytes(pickle.dumps({"data": data, "labels": labels[name]}))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": [str(i) for i in range(10)]}))
    return images, labels


def write_svhn(root):
    """Matlab files; their images, (32, 32, 3, N), by part. The digit 0 is class 10, as published."""
    from scipy.io import savemat

    rng = np.random.default_rng(0)
    counts = {"train": 8, "test": 4, "extra": 5}
    images = {part: rng.integers(0, 256, (32, 32, 3, count), dtype=np.uint8) for part, count in counts.items()}
    for part, data in images.items():
        labels = np.array([10, *range(1, data.shape[3])], dtype=np.uint8)[:, None]
        savemat(root / f"{part}_32x32.mat", {"X": data, "y": labels})
    return images
