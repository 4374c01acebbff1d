"""Batch norm's statistics of an averaged network, measured on what it is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lethe._shards import sharded
from lethe.consolidate._norms import counterparts

MOMENTUM = 0.1
"""Of a layer that has none of its own."""


class MeasuredStatistics:
    """Moves batch norm's running statistics of a network in evaluation mode towards what its layers are shown.

    What the network answers does not change by being watched: it normalises by its running statistics. These are
    moved once a step, by each layer's own momentum, towards the mean and the unbiased variance of all that the layer
    was shown in this step. That needs no pass of its own where the network is asked anyway; while it is, it runs as
    it is written, not compiled.

    Layers that are not shown anything are left alone, and so are those whose counterpart in the working network is in
    evaluation mode: frozen. Channels that overflowed in a step, as in fp16 under a scaler that looks for its scale,
    stay where they are.

    Args:
        network: the averaged network.
        model: the working network. Within DistributedDataParallel, sharded by FSDP2, or where batch norm itself sees
            the batch of all ranks, what all are shown counts as one batch, and :meth:`move` is a collective call: each
            rank has to ask in the same steps.
    """

    def __init__(self, network: nn.Module, model: nn.Module) -> None:
        self._working = counterparts(network, model)  # one without is its own, and is not frozen
        self._seen: dict[nn.Module, Tensor] = {}  # means, variances and counts of what a layer was shown in this step
        parallel = [m for m in model.modules() if isinstance(m, nn.parallel.DistributedDataParallel)]
        aware = [norm for norm in self._working if _sees_all(norm)]
        self._grouped = next(iter(parallel or aware), None)  # which knows its process group
        self._ranks = self._grouped is not None or any(sharded(p) for p in model.parameters())

    def ask(self, question: Callable[[], Tensor]) -> Tensor:
        """The answer of ``question``, which asks the network; what its layers are shown counts."""
        from lethe._uncompiled import uncompiled

        layers = [norm for norm, working in self._working.items() if working is norm or working.training]
        if not layers:
            return question()
        hooks = [layer.register_forward_pre_hook(self._add, with_kwargs=True) for layer in layers]
        try:
            return uncompiled(question)
        finally:
            for hook in hooks:
                hook.remove()

    @torch.no_grad()
    def move(self) -> frozenset[int]:
        """Move the statistics towards what was seen since the last call.

        Returns:
            The ``id`` of each buffer that was moved.
        """
        norms = [norm for norm in self._working if norm in self._seen]
        if not norms:
            return frozenset()
        here = torch.cat([self._seen[norm] for norm in norms], dim=1)
        self.forget()
        means, variances, counts = self._of_all_ranks(here)
        unbiased = variances * counts / (counts - 1).clamp(min=1)
        share = _momenta(norms, means) * (counts > 0)
        moved = []
        for name, new in (("running_mean", means), ("running_var", unbiased)):
            buffers: list[Tensor] = [getattr(norm, name) for norm in norms]
            old = torch.cat([buffer.to(new) for buffer in buffers])
            now = torch.where(new.isfinite(), old.lerp(new, share), old)
            torch._foreach_copy_(buffers, list(torch.split(now, [len(b) for b in buffers])))
            moved += buffers
        return frozenset(map(id, moved))

    def forget(self) -> None:
        """Let go of what was seen."""
        self._seen.clear()

    def _add(self, norm: Any, shown: tuple[Any, ...], named: dict[str, Any]) -> None:
        x: Tensor = (shown[0] if shown else next(iter(named.values()))).detach()
        found = _statistics(x).to(next(iter(self._working)).running_mean.device)  # all on one
        before = self._seen.get(norm)
        self._seen[norm] = found if before is None else _together(torch.stack((before, found)))

    def _of_all_ranks(self, here: Tensor) -> Tensor:
        if not (self._ranks and torch.distributed.is_initialized()):
            return here
        group = getattr(self._grouped, "process_group", None)  # None: all ranks
        ranks = [torch.empty_like(here) for _ in range(torch.distributed.get_world_size(group))]
        torch.distributed.all_gather(ranks, here, group=group)
        return _together(torch.stack(ranks))


def _statistics(x: Tensor) -> Tensor:
    """Mean, biased variance and count of each channel: (B, C, ...) to (3, C), in single precision at least."""
    count = x.numel() // x.shape[1]
    wide = torch.float32 if x.dtype in (torch.float16, torch.bfloat16) else x.dtype
    mean, variance = torch.zeros(2, x.shape[1], dtype=wide, device=x.device).unbind()
    if count > 1:  # several times faster than torch.var_mean over dimensions that are not the last ones
        F.batch_norm(x, mean, variance, training=True, momentum=1.0)
        variance *= (count - 1) / count
    elif count == 1:
        mean += x.flatten()
    return torch.stack((mean, variance, torch.full_like(mean, count)))


def _together(parts: Tensor) -> Tensor:
    """Means, variances and counts of all that the parts saw: (parts, 3, channels) to (3, channels)."""
    means, variances, counts = parts.unbind(1)
    total = counts.sum(0)
    share = counts / total.clamp(min=1)
    mean = (share * means).sum(0)
    return torch.stack((mean, (share * (variances + (means - mean).square())).sum(0), total))


def _momenta(norms: list[Any], like: Tensor) -> Tensor:
    """How far each channel moves."""
    found = [MOMENTUM if norm.momentum is None else norm.momentum for norm in norms]
    if len(set(found)) == 1:
        return torch.full_like(like, found[0])
    return torch.cat([like.new_full((norm.num_features,), m) for norm, m in zip(norms, found, strict=True)])


def _sees_all(norm: nn.Module) -> bool:
    """Whether a layer's statistics are those of all ranks in training: torch's, or one that says so."""
    return isinstance(norm, nn.SyncBatchNorm) or bool(getattr(norm, "whole_batch", False))
