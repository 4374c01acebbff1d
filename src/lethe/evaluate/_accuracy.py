"""Accuracy on an image set, clean or attacked."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lethe._guard import evaluation_mode
from lethe._rows import Rows
from lethe.attacks import PGD
from lethe.data import ImageSet, batches
from lethe.data._batches import cut, part_of


def accuracy(
    model: nn.Module,
    data: ImageSet,
    *,
    attack: PGD | None = None,
    batch_size: int = 256,
    seed: int = 0,
    rank: int = 0,
    ranks: int = 1,
    total: Callable[[Tensor], Tensor] | None = None,
) -> float:
    """Share of the images that are classified right, in [0, 1].

    Args:
        model: from images (B, C, H, W) in [0, 1] to logits (B, K); it is left as it was.
        data: images and labels, on the model's device.
        attack: attack each batch first; None measures clean accuracy.
        batch_size: images at a time.
        seed: of the attack's random start, so that two evaluations of the same weights agree to the bit.
        rank: which part of each batch is this process's.
        ranks: number of processes that measure together.
        total: sums a tensor over these processes.
    """
    generator = torch.Generator().manual_seed(seed)
    correct = torch.zeros((), dtype=torch.long, device=data.labels.device)
    with evaluation_mode(model), torch.no_grad():
        parts = batches(data, batch_size, rank=rank, ranks=ranks)
        for (start, stop), (x, y) in zip(cut(len(data), batch_size, ranks), parts, strict=True):
            count = stop - start
            source = generator if ranks == 1 else Rows(generator, part_of(count, rank, ranks).start, count)
            images = x if attack is None else attack(model, x, y, source)
            correct += (model(images).argmax(1) == y).sum()
    return int(correct if total is None else total(correct)) / len(data)
