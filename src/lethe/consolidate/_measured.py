"""Batch norm's statistics of an averaged network, measured on what it is asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from lethe._shards import sharded

MOMENTUM = 0.1
"""Of a layer that has none of its own."""


class MeasuredStatistics:
    """Moves batch norm's running statistics of a network in evaluation mode towards what its layers are shown.

    What the network answers does not change by being watched: it normalises by its running statistics. These are
    moved once a step, by each layer's own momentum, towards the mean and the unbiased variance of all that the layer
    was shown in this step. That needs no pass of its own where the network is asked anyway.

    Args:
        network: the averaged network.
        model: the working network. Within DistributedDataParallel, or sharded by FSDP2, what all ranks are shown counts
            as one batch; every rank then has to be asked in the same steps.
    """

    def __init__(self, network: nn.Module, model: nn.Module) -> None:
        self._norms = [m for m in network.modules() if isinstance(m, _BatchNorm) and m.running_mean is not None]
        self._sums: dict[nn.Module, Tensor] = {}
        parallel = isinstance(model, nn.parallel.DistributedDataParallel)
        self._ranks = parallel or any(sharded(p) for p in model.parameters())
        self._group: Any = model.process_group if parallel else None

    @contextmanager
    def watch(self) -> Iterator[None]:
        """What the network is shown within this context counts."""
        hooks = [norm.register_forward_pre_hook(self._add) for norm in self._norms]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def move(self) -> None:
        """Move the statistics towards what was seen since the last call, if anything was."""
        if not self._sums:
            return
        sums = list(self._sums.values())
        if self._ranks:
            together = torch.cat(sums)
            torch.distributed.all_reduce(together, group=self._group)
            sums = list(torch.split(together, [len(s) for s in sums]))
        for norm, of_norm in zip(self._sums, sums, strict=True):
            _move(norm, of_norm)
        self._sums.clear()

    def _add(self, norm: Any, shown: tuple[Any, ...]) -> None:
        """Sums over images and places, around the running mean, which is near and the same on all ranks."""
        x: Tensor = shown[0].detach()
        wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        variance, mean = torch.var_mean(wide, [at for at in range(x.ndim) if at != 1], correction=0)
        count, off = x.numel() // x.shape[1], mean - norm.running_mean
        sums = torch.cat((count * off, count * (variance + off.square()), off.new_full((1,), count)))
        self._sums[norm] = self._sums[norm] + sums if norm in self._sums else sums


@torch.no_grad()
def _move(norm: Any, sums: Tensor) -> None:
    count, channels = sums[-1], len(sums) // 2
    off = sums[:channels] / count
    variance = (sums[channels:-1] / count - off.square()) * (count / (count - 1).clamp(min=1))
    share = MOMENTUM if norm.momentum is None else norm.momentum
    norm.running_mean.add_((share * off).to(norm.running_mean.dtype))
    norm.running_var.lerp_(variance.to(norm.running_var.dtype), share)
