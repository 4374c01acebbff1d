"""Forget dormant units: the criterion of ReDo."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from lethe._check import LetheError, nearest, non_negative
from lethe._guard import evaluation_mode
from lethe._shards import groups, reshard, unwrapped
from lethe.forget._granularity import spread, units
from lethe.forget._layers import owners
from lethe.forget._select import LAYERS, Select, selected_parameters


def dormant_mask(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    tau: float = 0.1,
    *,
    select: Select = None,
    activation: Callable[[Tensor], Tensor] = torch.relu,
    read_at: Mapping[str, str] | None = None,
) -> dict[str, Tensor]:
    """Choose the incoming weights of units that hardly ever light up (ReDo, Sokar et al., ICML 2023).

    A unit is an output channel of a convolutional or linear layer. With ``a_i`` the mean of its ``|activation|`` over
    images and places, it is dormant if ``a_i / mean_k a_k ≤ tau``, the mean taken over its layer. If a whole layer is
    dark, all of it is dormant. The network is looked through in evaluation mode and left as it was.

    Args:
        model: the network.
        batches: pairs of images (B, C, H, W) and labels (B,), which are not used.
        tau: at least 0; 0 are the units that no image lights. ReDo: 0.1 (from memory, unverified).
        select: which parameters may be chosen; default: convolutional and linear weights. Those of other layers, of
            ``nn.MultiheadAttention``, and of the last of these, whose outputs are logits, are left out.
        activation: applied to a layer's output, since it comes after the layer, often as a mere function.
        read_at: ``{layer's name: name of the module whose output is read in its place}``, for a batch norm that stands
            between a convolution and its activation.

    Returns:
        ``{parameter name: bool tensor of its shape}``, True = forget.

    Raises:
        LetheError: ``tau`` below 0, no batch, a layer that did not run, a name that the network does not have, or
            ``select`` matches nothing that has units.

    Where ReDo and Lethe differ:
        ReDo also sets a recycled unit's *outgoing* weights to 0, so that the network's function stays. Which these
        are cannot be told from a network in general; here they stay as they are.
    """
    from lethe._uncompiled import uncompiled

    non_negative("tau", tau)
    selected = parameters_of_units(model, select)
    held = owners(model)
    layers = {name.rpartition(".")[0]: held[name][0] for name in selected}
    network = unwrapped(model)
    modules = dict(network.named_modules())
    watched = {}
    for layer in layers:
        place = (read_at or {}).get(layer, layer)
        if place not in modules:
            raise LetheError(f"the network has no module {place!r}.{nearest(place, modules)}")
        watched[layer] = modules[place]
    sums: dict[str, Tensor] = {}
    device = next(iter(selected.values())).device
    with evaluation_mode(model), torch.no_grad(), _watching(watched, layers, activation, sums):
        for x, _ in batches:
            uncompiled(partial(network, x.to(device)))  # a compiled graph would not look for the hooks
    if not sums:
        raise LetheError("there is no batch to measure on: give at least one pair of images and labels.")
    _add_over_ranks(model, sums)
    cells = units(model, selected, "channels")
    chosen = {}
    for first in cells:
        layer = first.rpartition(".")[0]
        if layer not in sums:
            raise LetheError(f"the layer {layer!r} did not run on these images: leave it out with select.")
        if not bool(sums[layer].isfinite().all()):
            raise LetheError(f"an activation of {layer!r} is not finite: the network has diverged.")
        chosen[first] = sums[layer] <= tau * sums[layer].mean()
    return spread(cells, chosen, selected)


def parameters_of_units(model: nn.Module, select: Select) -> dict[str, Tensor]:
    """The selected parameters of convolutional and linear layers but the last, which alone have hidden units.

    Raises:
        LetheError: there is none, or one whose channels cannot be told.
    """
    selected, held = selected_parameters(model, select), owners(model)
    # The last projection of nn.MultiheadAttention is a linear layer of its own kind, which nobody calls.
    uncalled = NonDynamicallyQuantizableLinear
    layers = [m for m in unwrapped(model).modules() if isinstance(m, LAYERS) and not isinstance(m, uncalled)]
    found = {name: p for name, p in selected.items() if any(held[name][0] is layer for layer in layers[:-1])}
    if not found:
        raise LetheError("only convolutional and linear layers before the last have hidden units: select some of them.")
    units(model, found, "channels")
    return found


@contextmanager
def _watching(
    watched: Mapping[str, nn.Module],
    layers: Mapping[str, nn.Module],
    activation: Callable[[Tensor], Tensor],
    sums: dict[str, Tensor],
) -> Iterator[None]:
    """While in this context, add up what each channel of the watched modules shows."""
    handles = []
    for name, module in watched.items():

        def add(_: nn.Module, __: Any, output: Tensor, name: str = name) -> None:
            channel = -1 if isinstance(layers[name], nn.Linear) else 1
            shown = activation(output).abs().movedim(channel, 0).flatten(1).sum(1, dtype=torch.float64)
            sums[name] = sums[name] + shown if name in sums else shown

        handles.append(module.register_forward_hook(add))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _add_over_ranks(model: nn.Module, sums: dict[str, Tensor]) -> None:
    """Under DDP or FSDP2, count what all ranks have seen."""
    reshard(model)
    together = groups(model)
    for total in sums.values():
        for group in together:
            torch.distributed.all_reduce(total, group=group)
