"""New values for forgotten weights: as their kind of layer draws them, or otherwise."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from lethe._check import LetheError, one_of
from lethe._shards import sharded
from lethe.forget._layers import owners

INITIALISERS = ("layer", "kaiming", "rewind", "zero")
COMPUTED = re.compile(r"(\w+)_(?:orig|g|v)$")
"""What torch.nn.utils calls a parameter that it computes another one from."""


def check_redraw(model: nn.Module, names: Iterable[str], init: str) -> None:
    """Raise where one of the named parameters cannot be drawn anew.

    Raises:
        LetheError: an unknown ``init``, or a layer without an initialiser that draws this parameter.
    """
    one_of("init", init, INITIALISERS)
    held = owners(model)
    for name in names:
        module, here = held[name]
        if init == "layer" and (behind := COMPUTED.match(here)) and isinstance(module.__dict__.get(behind[1]), Tensor):
            raise LetheError(
                f"cannot re-draw {name!r}: {type(module).__name__} computes its {behind[1]} from it (spectral_norm, "
                "weight_norm or pruning), and its reset_parameters() would not write there. Select other parameters, "
                "or take another init."
            )
        if init == "layer" and any(isinstance(t, Tensor) and not t.is_leaf for t in vars(module).values()):
            raise LetheError(
                f"cannot re-draw {name!r}: its {type(module).__name__} computes another tensor from others "
                "(spectral_norm, weight_norm or pruning), so that it cannot be copied to be reset. Select other "
                "parameters, or take another init."
            )
        if init == "layer" and _reset_method(module) is None:
            raise LetheError(
                f"cannot re-draw {name!r}: {type(module).__name__} has no reset_parameters(). Give it one that draws "
                "its parameters in place, select other parameters, or take another init."
            )


def check_initial(init: str, wanted: Mapping[str, Tensor], initial: Mapping[str, Tensor] | None) -> None:
    """Raise where there is no initial value to rewind one of the parameters to.

    Raises:
        LetheError: one is missing or has another shape; or ``initial`` is given and not of use.
    """
    if (init == "rewind") != (initial is not None):
        raise LetheError("init='rewind' and initial, the weights to rewind to, belong together: give both or neither.")
    for name, parameter in wanted.items():
        if initial is not None and (name not in initial or initial[name].shape != parameter.shape):
            raise LetheError(
                f"initial has no {name!r} of shape {tuple(parameter.shape)}: give the state_dict() of this very "
                "network as it began."
            )


def fresh_values(
    module: nn.Module, entries: list[tuple[str, str]], init: str, initial: Mapping[str, Tensor] | None
) -> dict[str, Tensor]:
    """Whole new values of some parameters of one module, on the CPU unless they are rewound.

    Args:
        module: the layer.
        entries: (full name, name in the module) of each.
        init: one of :data:`INITIALISERS`.
        initial: what ``"rewind"`` takes, by full name.
    """
    if init == "rewind" and initial is not None:
        return {name: initial[name].detach() for name, _ in entries}
    if init == "layer":
        born = _born_again(module)
        return {name: getattr(born, local).detach() for name, local in entries}
    found = {}
    for name, local in entries:
        parameter = getattr(module, local)
        values = torch.zeros(parameter.shape, dtype=parameter.dtype)
        if init == "kaiming":
            matrix = values.view(-1, 1) if values.ndim < 2 else values  # a vector has a fan-in of 1
            nn.init.kaiming_uniform_(matrix, a=math.sqrt(5))
        found[name] = values
    return found


@contextmanager
def drawing_from(generator: torch.Generator | None) -> Iterator[None]:
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


def _reset_method(module: nn.Module) -> str | None:
    for method in ("reset_parameters", "_reset_parameters"):  # nn.MultiheadAttention spells it with an underscore
        if callable(getattr(module, method, None)):
            return method
    return None


def _born_again(module: nn.Module) -> nn.Module:
    """A copy of the layer on the CPU, reset."""
    whole = any(sharded(p) for p in module.parameters())
    born = _unsharded_copy(module) if whole else copy.deepcopy(module).cpu()
    method = _reset_method(module)
    assert method is not None  # noqa: S101 - check_redraw has refused such a layer
    getattr(born, method)()
    return born


def _unsharded_copy(module: nn.Module) -> nn.Module:
    """The layer as it was before FSDP2 cut it, which cannot be deep-copied; values are undefined until it is reset."""
    from torch.distributed.fsdp import FSDPModule

    kind = next(c for c in type(module).__mro__ if issubclass(c, nn.Module) and not issubclass(c, FSDPModule))
    whole: nn.Module = object.__new__(kind)
    whole.__dict__ = dict(module.__dict__)
    whole._parameters = {
        name: None if p is None else nn.Parameter(torch.empty(p.shape, dtype=p.dtype), p.requires_grad)
        for name, p in module._parameters.items()
    }
    whole._buffers = {n: None if b is None else b.detach().cpu().clone() for n, b in module._buffers.items()}
    whole._modules = {n: None if child is None else _unsharded_copy(child) for n, child in module._modules.items()}
    return whole
