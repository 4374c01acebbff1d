"""How a network's weights lie in memory."""

from __future__ import annotations

import torch
from torch import nn


def channels_last(network: nn.Module) -> nn.Module:
    """Store the weights channels-last, which makes convolutions faster on many devices, and return the network.

    On the CPU a network with a strided 1×1 convolution of fewer than 16 input channels is left as it is: oneDNN's
    gradient of such weights writes outside its memory (github.com/uxlfoundation/oneDNN/issues/6035; torch 2.15
    crashes).
    """
    on_cpu = any(p.device.type == "cpu" for p in network.parameters())
    if on_cpu and any(_harmful(module) for module in network.modules()):
        return network
    return network.to(memory_format=torch.channels_last)


def _harmful(module: nn.Module) -> bool:
    if not isinstance(module, nn.Conv2d):
        return False
    return module.kernel_size == (1, 1) and max(module.stride) > 1 and module.in_channels // module.groups < 16
