"""Accuracy on an image set, clean or attacked."""

from __future__ import annotations

import torch
from torch import nn

from lethe._guard import evaluation_mode
from lethe.attacks import PGD
from lethe.data import ImageSet, batches


def accuracy(
    model: nn.Module, data: ImageSet, *, attack: PGD | None = None, batch_size: int = 256, seed: int = 0
) -> float:
    """Share of the images that are classified right, in [0, 1].

    Args:
        model: from images (B, C, H, W) in [0, 1] to logits (B, K); it is left as it was.
        data: images and labels, on the model's device.
        attack: attack each batch first; None measures clean accuracy.
        batch_size: images at a time.
        seed: of the attack's random start, so that two evaluations of the same weights agree to the bit.
    """
    generator = torch.Generator().manual_seed(seed)
    correct = torch.zeros((), dtype=torch.long, device=data.labels.device)
    with evaluation_mode(model), torch.no_grad():
        for x, y in batches(data, batch_size):
            images = x if attack is None else attack(model, x, y, generator)
            correct += (model(images).argmax(1) == y).sum()
    return int(correct) / len(data)
