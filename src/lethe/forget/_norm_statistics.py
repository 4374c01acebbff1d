"""Running statistics of forgotten channels."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from lethe._check import one_of
from lethe._shards import gathered
from lethe.forget._layers import owners

FORGOTTEN_STATISTICS = ("leave", "reset")


def check_statistics(statistics: str) -> None:
    """Raise where there is no such choice."""
    one_of("statistics", statistics, FORGOTTEN_STATISTICS)


def reset_statistics(model: nn.Module, masks: Mapping[str, Tensor]) -> None:
    """Set running mean 0 and variance 1 where a channel was forgotten.

    These are the channels of a batch (or instance) norm whose own weight or bias is masked, and those that a layer
    makes all of whose incoming weights are masked, if that norm is the next one after the layer in module order and has
    as many channels. Where the whole norm is reset, its count of batches is, too.
    """
    held = owners(model)
    by_module: dict[int, dict[str, Tensor]] = {}
    for name, mask in masks.items():
        module, local = held[name]
        by_module.setdefault(id(module), {})[local] = mask
    made: Tensor | None = None  # the channels of the layer before that were forgotten
    for module in model.modules():
        mine = by_module.get(id(module), {})
        if isinstance(module, (nn.Linear, nn.modules.conv._ConvNd)):
            made = _forgotten_channels(module, mine["weight"]) if "weight" in mine else None
        elif isinstance(module, _NormBase):
            _reset(module, [gathered(mask) for mask in mine.values()] + ([] if made is None else [made]))
            made = None


def _reset(norm: _NormBase, forgotten: list[Tensor]) -> None:
    if norm.running_mean is None or norm.running_var is None:
        return
    channels = torch.zeros_like(norm.running_mean, dtype=torch.bool)
    for mask in forgotten:
        if mask.shape == channels.shape:
            channels |= mask.to(channels.device)
    norm.running_mean.masked_fill_(channels, 0.0)
    norm.running_var.masked_fill_(channels, 1.0)
    if norm.num_batches_tracked is not None and bool(channels.all()):
        norm.num_batches_tracked.zero_()


def _forgotten_channels(module: nn.Module, mask: Tensor) -> Tensor:
    """Output channels that lost all weights."""
    whole = gathered(mask)
    if isinstance(module, nn.modules.conv._ConvTransposeNd):
        # (in, out of a group, ...), the groups one after the other
        by_group = whole.view(module.groups, -1, *whole.shape[1:])
        return by_group.transpose(1, 2).flatten(0, 1).flatten(1).all(1)
    return whole.flatten(1).all(1)
