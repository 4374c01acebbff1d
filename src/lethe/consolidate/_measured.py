"""Batch norm's statistics of an averaged network, measured on what it is asked."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
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
        model: the working network. Within DistributedDataParallel, sharded by FSDP2, or where batch norm itself sees
            the batch of all ranks, what all are shown counts as one batch; each then has to be asked in the same steps.
    """

    def __init__(self, network: nn.Module, model: nn.Module) -> None:
        self._norms = [m for m in network.modules() if isinstance(m, _BatchNorm) and m.running_mean is not None]
        self._seen: dict[nn.Module, list[Tensor]] = {}
        parallel = isinstance(model, nn.parallel.DistributedDataParallel)
        together = parallel or any(sharded(p) for p in model.parameters()) or any(map(_sees_all, self._norms))
        self._ranks = together and torch.distributed.is_available() and torch.distributed.is_initialized()
        self._group: Any = model.process_group if parallel else None

    @contextmanager
    def watch(self) -> Iterator[None]:
        """What the network is shown within this context counts."""
        hooks = [norm.register_forward_pre_hook(self._add) for norm in self._norms]
        try:
            with _as_written():
                yield
        finally:
            for hook in hooks:
                hook.remove()

    def move(self) -> None:
        """Move the statistics towards what was seen since the last call, if anything was."""
        if not self._seen:
            return
        norms, here = list(self._seen), [_together(torch.stack(parts)) for parts in self._seen.values()]
        self._seen.clear()
        for norm, moments in zip(norms, self._of_all_ranks(here), strict=True):
            _move(norm, moments)

    def _add(self, norm: nn.Module, shown: tuple[Any, ...]) -> None:
        x: Tensor = shown[0].detach()
        wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        variance, mean = torch.var_mean(wide, [at for at in range(x.ndim) if at != 1], correction=0)
        count = mean.new_full((1,), x.numel() // x.shape[1])
        self._seen.setdefault(norm, []).append(torch.cat((mean, variance, count)))

    def _of_all_ranks(self, here: list[Tensor]) -> list[Tensor]:
        if not self._ranks:
            return here
        mine = torch.cat(here)
        ranks = [torch.empty_like(mine) for _ in range(torch.distributed.get_world_size(self._group))]
        torch.distributed.all_gather(ranks, mine, group=self._group)
        return [_together(parts) for parts in torch.split(torch.stack(ranks), [len(own) for own in here], dim=1)]


def _as_written() -> AbstractContextManager[object]:
    """Nothing compiled is run: it was compiled without hooks, perhaps, and does not look for them again."""
    as_written: AbstractContextManager[object] = nullcontext()
    if "torch._dynamo" in sys.modules and not torch.compiler.is_compiling():
        with suppress(RuntimeError):  # within a compiled function, which sees the hooks
            as_written = torch.compiler.set_stance("force_eager")
    return as_written


def _sees_all(norm: nn.Module) -> bool:
    """Whether a layer's statistics are those of all ranks in training: torch's, or one that says so."""
    return isinstance(norm, nn.SyncBatchNorm) or bool(getattr(norm, "whole_batch", False))


def _together(parts: Tensor) -> Tensor:
    """The mean, variance and count of all from those of parts: (parts, 2 · channels + 1) to one row."""
    channels, counts = parts.shape[1] // 2, parts[:, -1:]
    means, variances = parts[:, :channels], parts[:, channels:-1]
    share = counts / counts.sum()
    mean = (share * means).sum(0)
    variance = (share * (variances + (means - mean).square())).sum(0)
    return torch.cat((mean, variance, counts.sum(0)))


@torch.no_grad()
def _move(norm: Any, moments: Tensor) -> None:
    channels, count = len(moments) // 2, moments[-1]
    unbiased = moments[channels:-1] * (count / (count - 1).clamp(min=1))
    share = MOMENTUM if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(moments[:channels].to(norm.running_mean.dtype), share)
    norm.running_var.lerp_(unbiased.to(norm.running_var.dtype), share)
