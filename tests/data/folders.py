"""Image folders that tests write."""

import torch
from PIL import Image

WIDE, HIGH = 40, 30


def picture(seed, size=(WIDE, HIGH), mode="RGB"):
    """A made-up photograph: noise."""
    pixels = torch.randint(256, (size[1], size[0], 3), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
    return Image.fromarray(pixels.numpy()).convert(mode)


def write_folder(root, classes=("ant", "bee", "cat"), counts=None, size=(WIDE, HIGH)):
    """PNG files, ``counts`` of them a class and part (6 for training and 3 to test unless it says otherwise)."""
    seed = 0
    for part, count in (counts or {"train": 6, "val": 3}).items():
        for name in classes:
            folder = root / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                seed += 1
                picture(seed, size).save(folder / f"{number}.png")
    return root
