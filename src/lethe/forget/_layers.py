"""Which module holds a parameter, and which of its dimensions counts output channels."""

from __future__ import annotations

from torch import Tensor, nn

from lethe._check import LetheError
from lethe._shards import unwrapped


def owners(model: nn.Module) -> dict[str, tuple[nn.Module, str]]:
    """The module that holds each parameter, and the parameter's name in it; a tied weight at its first place."""
    found: dict[str, tuple[nn.Module, str]] = {}
    for prefix, module in unwrapped(model).named_modules():
        for local, _ in module.named_parameters(recurse=False):
            found[f"{prefix}.{local}" if prefix else local] = (module, local)
    return found


def channel_dimension(module: nn.Module, parameter: Tensor) -> int:
    """The dimension of ``parameter`` that counts the output channels of its layer.

    Raises:
        LetheError: a transposed convolution in groups, whose weight has no such dimension.
    """
    if isinstance(module, nn.modules.conv._ConvTransposeNd) and parameter.ndim > 1:
        if module.groups > 1:
            raise LetheError(
                "the weight of a transposed convolution in groups has no dimension of output channels: "
                "leave it out with select, or take granularity 'weights' or 'layers'."
            )
        return 1
    return 0
