"""Keep batch norm's running statistics still while a network runs at perturbed weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook


@contextmanager
def frozen_batch_statistics() -> Iterator[None]:
    """Within this context, no batch norm in training mode moves its running mean, variance or batch count.

    The layers still normalise by the statistics of the batch, so outputs and gradients are what they are
    without the context. An optimizer knows parameters but not modules, hence hooks that see every module of the
    process for the length of one pass, in place of a list that the user would have to hand over.
    """
    stopped: list[_BatchNorm] = []

    def before(module: nn.Module, inputs: Any) -> None:
        if isinstance(module, _BatchNorm) and module.training and module.track_running_stats:
            module.track_running_stats = False
            stopped.append(module)

    def after(module: nn.Module, inputs: Any, output: Any) -> None:
        if stopped and stopped[-1] is module:
            stopped.pop().track_running_stats = True

    handles = [register_module_forward_pre_hook(before), register_module_forward_hook(after)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        for module in stopped:  # a forward pass that raised never reached `after`
            module.track_running_stats = True
