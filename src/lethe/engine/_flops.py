"""What training costs, counted: floating-point operations of convolutions and matrix products, not estimated ones."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from lethe.engine._loop import _step
from lethe.engine._training import Training


def flops(work: Callable[[], object]) -> int:
    """Floating-point operations of what ``work`` does (a multiply-add counts as two), as torch counts them.

    Convolutions and matrix products count, forward and backward; what is done entry by entry does not.
    """
    with FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())


def step_flops(training: Training, images: Tensor, labels: Tensor) -> float:
    """Operations of a training step, for one image: attack, every pass of the optimizer and the method included.

    One step is made, which moves ``training``: hand over a copy. Torch's global random state is left as it was.

    Args:
        training: on the images' device.
        images: (B, C, H, W) in [0, 1], at least two, for batch norm.
        labels: (B,).
    """
    device = images.device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        training.model.train()
        count = len(labels)
        return flops(lambda: _step(training, images, labels, 0, count)) / count
