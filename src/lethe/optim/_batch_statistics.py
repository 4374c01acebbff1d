"""Keep batch norm's running statistics still while a network runs at perturbed weights."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.module import register_module_forward_pre_hook

COMPILED = r"Using `torch\.compile\(module\)` when there are global hooks"


@contextmanager
def frozen_batch_statistics() -> Iterator[None]:
    """After this context, running means, variances and batch counts are what they were before, to the bit.

    An optimizer knows parameters but not modules. So for the length of one pass a hook sees every module of the
    process before it runs, and keeps a copy of the statistics of each batch (or instance) norm in it that is in
    training mode. The layers work as ever meanwhile, and the copies are written back at the end.
    """
    seen: set[nn.Module] = set()
    statistics: list[Tensor] = []
    copies: list[Tensor] = []

    def keep(module: nn.Module, _: object) -> None:
        if module in seen:
            return
        for inner in module.modules():  # a compiled network runs without the hooks of what is in it
            if inner not in seen and isinstance(inner, _NormBase) and inner.training and inner.track_running_stats:
                buffers = [inner.running_mean, inner.running_var, inner.num_batches_tracked]
                statistics.extend(b for b in buffers if b is not None)
                copies.extend(b.clone() for b in buffers if b is not None)
            seen.add(inner)

    handle = register_module_forward_pre_hook(keep)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=COMPILED)  # a second call of `keep` does no harm
            yield
    finally:
        handle.remove()
        if statistics:
            with torch.no_grad():
                torch._foreach_copy_(statistics, copies)
