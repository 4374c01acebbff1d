"""Re-draw forgotten weights from their layers' own distribution and clear what the optimizer remembers of them."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lethe._check import LetheError, nearest


@dataclass(frozen=True)
class Forgotten:
    """What a forgetting did.

    Attributes:
        count: weights re-drawn.
        of: weights of the whole network.
        by_name: weights re-drawn of each parameter.
    """

    count: int
    of: int
    by_name: dict[str, int]

    @property
    def fraction(self) -> float:
        """Share of the whole network's weights that was re-drawn."""
        return self.count / self.of

    def __str__(self) -> str:
        return f"forgot {self.count:,} of {self.of:,} weights ({self.fraction:.1%})"


def reinitialize(
    model: nn.Module,
    masks: Mapping[str, Tensor],
    *,
    optimizer: Optimizer | None = None,
    generator: torch.Generator | None = None,
) -> Forgotten:
    """Re-draw the masked weights in place; everything else stays as it is, to the bit.

    New values come from the layer's own initialiser (its ``reset_parameters``): for torch's convolutional and
    linear layers that is U(±1/√fan_in), which the code of LURE uses as well. The layer is reset as a copy on the
    CPU, so that a seed gives the same values on any device, and only the masked entries are taken over.

    Args:
        model: the network.
        masks: ``{parameter name: bool tensor of its shape}``, True = forget.
        optimizer: its state of the masked entries (momentum, Adam's moments) is set to zero; its count of steps is the
            whole tensor's and stays, so that Adam's first updates of fresh weights are some three to six times as
            long as its learning rate. None: no state is touched.
        generator: source of randomness, on the CPU; None is torch's global one.

    Returns:
        How many weights were re-drawn, in all and by parameter.

    Raises:
        LetheError: a name the network does not have, a mask that is not bool or not of the parameter's shape, or a
            layer with parameters of its own and no ``reset_parameters``. Then nothing has been changed.

    Where LURE's code and Lethe differ:
        The code leaves the momentum in place, re-draws batch norm weights from U(−1, 1), and ranks biases but
        never re-draws them. Here a layer resets to what it was born with (batch norm: weight 1, bias 0).
    """
    parameters = dict(model.named_parameters())
    owners = _owners(model)
    for name, mask in masks.items():
        _check_mask(name, mask, parameters, owners)
    counts: dict[str, int] = {}
    by_module: dict[nn.Module, list[tuple[str, str]]] = {}
    for name in masks:
        module, local = owners[name]
        by_module.setdefault(module, []).append((name, local))
    with torch.no_grad(), _drawing_from(generator):
        for module, entries in by_module.items():
            fresh = _fresh_copy(module)
            for name, local in entries:
                parameter, mask = parameters[name], masks[name].to(parameters[name].device)
                drawn = getattr(fresh, local).to(parameter.device, parameter.dtype)
                parameter.copy_(torch.where(mask, drawn, parameter))
                counts[name] = int(mask.sum())
                if optimizer is not None:
                    _clear_state(optimizer, parameter, mask)
    return Forgotten(sum(counts.values()), sum(p.numel() for p in parameters.values()), counts)


def _owners(model: nn.Module) -> dict[str, tuple[nn.Module, str]]:
    """The module that holds each parameter, and the parameter's name in it; a tied weight at its first place."""
    found: dict[str, tuple[nn.Module, str]] = {}
    for prefix, module in model.named_modules():
        for local, _ in module.named_parameters(recurse=False):
            found[f"{prefix}.{local}" if prefix else local] = (module, local)
    return found


def _check_mask(
    name: str,
    mask: Tensor,
    parameters: Mapping[str, Tensor],
    owners: Mapping[str, tuple[nn.Module, str]],
) -> None:
    if name not in parameters:
        raise LetheError(f"the network has no parameter {name!r}.{nearest(name, parameters)}")
    if mask.dtype != torch.bool or mask.shape != parameters[name].shape:
        raise LetheError(
            f"the mask of {name!r} must be a bool tensor of shape {tuple(parameters[name].shape)}, "
            f"got {mask.dtype} of shape {tuple(mask.shape)}."
        )
    module, _ = owners[name]
    if _reset_method(module) is None:
        raise LetheError(
            f"cannot re-draw {name!r}: {type(module).__name__} has no reset_parameters(). Give it one that draws its "
            "parameters in place, or select other parameters."
        )


def _reset_method(module: nn.Module) -> str | None:
    for method in (
        "reset_parameters",
        "_reset_parameters",
    ):  # nn.MultiheadAttention spells it with an underscore
        if callable(getattr(module, method, None)):
            return method
    return None


def _fresh_copy(module: nn.Module) -> nn.Module:
    fresh = copy.deepcopy(module).cpu()
    method = _reset_method(module)
    assert method is not None  # noqa: S101 - _check_mask has refused such a layer
    getattr(fresh, method)()
    return fresh


@contextmanager
def _drawing_from(generator: torch.Generator | None) -> Iterator[None]:
    """Let initialisers, which take no generator, draw from this one, and leave torch's global state as it was."""
    if generator is None:
        yield
        return
    default = torch.default_generator  # the CPU's alone: torch.manual_seed would re-seed every device
    before = default.get_state()
    default.manual_seed(int(torch.randint(2**62, (), generator=generator, device=generator.device)))
    try:
        yield
    finally:
        default.set_state(before)


def _clear_state(optimizer: Optimizer, parameter: Tensor, mask: Tensor) -> None:
    for key, value in optimizer.state.get(parameter, {}).items():
        if key != "step" and isinstance(value, Tensor) and value.shape == parameter.shape:
            value.masked_fill_(mask, 0)
