"""Batch norms of an averaged network, and which of the working network's they follow."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from lethe._shards import unwrapped


def counterparts(network: nn.Module, model: nn.Module) -> dict[Any, nn.Module]:
    """Each batch norm of ``network`` that has running statistics, and the layer of its name in ``model``.

    One that ``model`` does not have is its own counterpart.
    """
    working = dict(unwrapped(model).named_modules())
    return {
        norm: working.get(name, norm)
        for name, norm in unwrapped(network).named_modules()
        if isinstance(norm, _BatchNorm) and norm.running_mean is not None
    }


def frozen_norms(network: nn.Module, model: nn.Module) -> list[nn.Module]:
    """Those whose counterparts are in evaluation mode."""
    found = counterparts(network, model).items()
    return [norm for norm, working in found if working is not norm and not working.training]
