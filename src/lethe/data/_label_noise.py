"""Corrupt a share of the training labels."""

from __future__ import annotations

import torch

from lethe.data._image_set import ImageSet


def with_label_noise(data: ImageSet, share: float, generator: torch.Generator) -> ImageSet:
    """Replace ``round(share · N)`` labels, chosen at random, by another class, drawn uniformly: none stays right."""
    count = round(share * len(data))
    hit = torch.randperm(len(data), generator=generator)[:count]
    shift = torch.randint(1, data.classes, (count,), generator=generator)
    labels = data.labels.clone()
    labels[hit] = (labels[hit] + shift) % data.classes
    return data.relabelled(labels)
