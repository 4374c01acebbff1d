"""Forget whole layers: the later ones (LLF) or the last (RIFLE)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lethe._shards import local, wrap
from lethe.forget._select import Select, last_layer, later_layers, selected_parameters


def whole_mask(model: nn.Module, *, select: Select = None) -> dict[str, Tensor]:
    """Choose everything that ``select`` names.

    Args:
        model: the network.
        select: default: convolutional and linear weights.

    Returns:
        ``{parameter name: bool tensor of its shape}``, all True.

    Raises:
        LetheError: ``select`` matches nothing.
    """
    masks = {}
    for name, parameter in selected_parameters(model, select).items():
        here = local([parameter.detach()])[0]
        masks[name] = wrap(torch.ones_like(here, dtype=torch.bool), parameter)
    return masks


def llf_mask(model: nn.Module, *, select: Select = None) -> dict[str, Tensor]:
    """Later-layer forgetting (Zhou et al., ICLR 2022): everything from some layer on.

    Args:
        model: the network.
        select: default: the later half of the convolutional and linear layers. The official code's setting is
            ``from_layer("layer4")`` for ResNet-18, batch norm and head included; LURE's baseline also resets layer3.
    """
    return whole_mask(model, select=later_layers(0.5) if select is None else select)


def rifle_mask(model: nn.Module, *, select: Select = None) -> dict[str, Tensor]:
    """RIFLE (Li et al., ICML 2020; from memory, unverified): the last layer, weight and bias.

    RIFLE restarts the cycle of the learning rate with each forgetting; that is the caller's.

    Args:
        model: the network.
        select: default: :data:`lethe.forget.last_layer`.
    """
    return whole_mask(model, select=last_layer if select is None else select)
