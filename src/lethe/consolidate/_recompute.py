"""Batch norm's statistics of an averaged network, measured anew."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from lethe._check import LetheError
from lethe._guard import evaluation_mode
from lethe.consolidate._norms import counterparts


def recompute_statistics(model: nn.Module, images: Iterable[Tensor], leave: Collection[nn.Module] = ()) -> None:
    """Replace batch norm's running statistics by their even average over a pass through ``images``.

    Batch norm alone is in training mode meanwhile; dropout, which ``torch.optim.swa_utils.update_bn`` leaves on, is
    off, as it is when the network is asked. Modes are put back, and no gradient is kept.

    Args:
        model: the averaged network.
        images: batches (B, C, H, W) on the network's device, such as it was trained on; of pairs the first counts.
        leave: batch norms whose statistics stay, such as frozen ones.

    A network without batch norm is not asked anything.

    Raises:
        LetheError: there is no batch. Then, and after an error in a pass, the statistics are as they were.
    """
    norms = [norm for norm in counterparts(model, model) if norm not in leave]
    if not norms:
        return
    batches = iter(images)
    first = next(batches, None)
    if first is None:
        raise LetheError(
            "there is no batch to measure on: give one at least; an iterator runs out after its first run."
        )
    before = [(norm, norm.momentum, [buffer.clone() for buffer in norm.buffers()]) for norm in norms]
    with evaluation_mode(model), torch.no_grad():
        try:
            for norm in norms:
                norm.reset_running_stats()
                norm.training, norm.momentum = True, None  # None: each batch counts alike
            batch: Any
            for batch in chain([first], batches):
                model(batch[0] if isinstance(batch, (list, tuple)) else batch)
        except BaseException:
            for norm, _, buffers in before:
                torch._foreach_copy_(list(norm.buffers()), buffers)
            raise
        finally:
            for norm, momentum, _ in before:
                norm.training, norm.momentum = False, momentum
