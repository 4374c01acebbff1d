"""Forget in units: single weights, output channels, or layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lethe._check import LetheError
from lethe._shards import cut, gathered
from lethe.forget._layers import channel_dimension, owners
from lethe.forget._score import Score

GRANULARITIES = ("weights", "channels", "layers")


@dataclass(frozen=True)
class Units:
    """Units of one module that are chosen from together: its output channels, or the module as one.

    Attributes:
        size: how many.
        dimensions: of each parameter that they are cut out of, the dimension that counts channels; None: all of it.
    """

    size: int
    dimensions: dict[str, int | None]


def units(model: nn.Module, selected: Mapping[str, Tensor], granularity: str) -> dict[str, Units]:
    """The channels or layers that the selected parameters make, by the name of their first parameter.

    Parameters of one module go together: a channel is its row of the weight and, if selected, its entry of the bias.
    """
    held = owners(model)
    found: dict[tuple[int, int], tuple[str, Units]] = {}
    for name, parameter in selected.items():
        module, _ = held[name]
        dimension = None
        if granularity == "channels" and parameter.ndim:
            dimension = channel_dimension(module, parameter)
        size = 1 if dimension is None else parameter.shape[dimension]
        found.setdefault((id(module), size), (name, Units(size, {})))[1].dimensions[name] = dimension
    return dict(found.values())


def unit_scores(cells: Mapping[str, Units], scores: Mapping[str, Score]) -> dict[str, Score]:
    """The mean score of each unit's entries, so that small and large layers can be ranked together.

    Raises:
        LetheError: a score is not finite.
    """
    found = {}
    for first, unit in cells.items():
        total, entries = torch.zeros(()), 0
        for name, dimension in unit.dimensions.items():
            values = scores[name].whole()
            others = [d for d in range(values.ndim) if d != dimension]
            summed = gathered(values.sum(others) if others else values)
            total = total.to(summed.device) + summed.reshape(unit.size)
            entries += values.numel() // max(1, unit.size)
        mean = total / entries
        if not bool(mean.isfinite().all()):
            raise LetheError("a score is not finite: the loss, or the network, has diverged.")
        found[first] = Score.of(mean)
    return found


def spread(
    cells: Mapping[str, Units], chosen: Mapping[str, Tensor], selected: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """From the chosen units, (size,) bool, to masks of the parameters."""
    masks = {}
    for first, unit in cells.items():
        for name, dimension in unit.dimensions.items():
            shape = [1] * selected[name].ndim
            if dimension is not None:
                shape[dimension] = unit.size
            mask = chosen[first].reshape(shape).expand(selected[name].shape)
            masks[name] = cut(mask.contiguous(), selected[name])
    return {name: masks[name] for name in selected}
