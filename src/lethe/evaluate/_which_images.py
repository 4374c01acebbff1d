"""Which images stand for all of them, where only some are looked at."""

from __future__ import annotations

import torch
from torch import Tensor


def which_images(labels: Tensor, count: int) -> list[int]:
    """The places of ``count`` images: the first, or even ones over all where images lie class after class.

    The first of folders, which are read class after class, would be those of a class or two.

    Args:
        labels: of all images, (N,).
        count: in [0, N].
    """
    if not class_after_class(labels):
        return list(range(count))
    return [(2 * at + 1) * len(labels) // (2 * count) for at in range(count)]


def class_after_class(labels: Tensor) -> bool:
    """Whether the class changes from one image to the next at most half as often as in a random order."""
    n = len(labels)
    if n < 2:
        return False
    sizes = torch.bincount(labels.cpu()).double()
    expected = (n - 1) * (1.0 - float((sizes * (sizes - 1)).sum()) / (n * (n - 1)))
    changes = int((labels[1:] != labels[:-1]).sum())
    return 0 < changes <= expected / 2
