"""Re-draw forgotten weights from their layers' own distribution and clear what the optimizer remembers of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lethe._check import LetheError, fraction, nearest, non_negative
from lethe._shards import add_ranks, cut, local, reshard, unwrapped
from lethe.forget._fresh import check_initial, check_redraw, drawing_from, fresh_values
from lethe.forget._layers import owners
from lethe.forget._norm_statistics import check_statistics, reset_statistics
from lethe.forget._optimizer_state import check_state, forget_state
from lethe.forget._select import Select, everything
from lethe.forget._whole import whole_mask


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
    init: str = "layer",
    initial: Mapping[str, Tensor] | None = None,
    shrink: float = 0.0,
    perturb: float = 1.0,
    state: str = "clear",
    statistics: str = "leave",
) -> Forgotten:
    """Re-draw the masked weights in place; everything else stays as it is, to the bit.

    New values come from the layer's own initialiser (its ``reset_parameters``): for torch's convolutional and
    linear layers that is U(±1/√fan_in), which the code of LURE uses as well. A network may have been initialised
    otherwise: the convolutions of torchvision's ResNets, and of AMP's networks, begin 2.4 times as large. New values
    of that kind are ``init="rewind"`` with a newly built network's weights. The layer is reset as a copy on the
    CPU, whole even where its parameters are sharded, so that a seed gives the same values on any device and any number
    of ranks, and only the masked entries are taken over.

    Args:
        model: the network.
        masks: ``{parameter name: bool tensor of its shape}``, True = forget; whole, or cut as the parameter is.
        optimizer: its state of the masked entries (momentum, Adam's moments) is set to what it begins with, which is
            mostly zero, or see ``state``; also of an optimizer within this one. A second set of weights (ASGD's,
            Lookahead's) takes the new values, LBFGS forgets all it has measured, and what belongs to no single weight
            (Adafactor's scales of rows and columns) stays. None: no state is touched.
        generator: source of randomness, on the CPU; None is torch's global one.
        init: where new values come from. ``"layer"``: its own initialiser; ``"kaiming"``: U(±1/√fan_in) for every
            tensor, vectors counted as having a fan-in of 1, as LURE's code; ``"rewind"``: ``initial``; ``"zero"``.
        initial: for ``"rewind"``: weights by name, such as an earlier ``state_dict()``.
        shrink: masked weights become ``shrink · w + perturb · new``: 0 and 1 forget wholly; in [0, 1].
        perturb: likewise; at least 0.
        state: of the optimizer, for masked entries: ``"clear"``; ``"keep"``; or ``"mean"``: momentum and first moments
            become zero, but second moments the mean of the tensor's kept ones. An optimizer's count of steps is the
            whole tensor's and stays; so with cleared moments Adam's first updates of fresh weights are some three
            to six times as long as its learning rate, with ``"mean"`` they are not.
        statistics: of batch norm, for channels that are forgotten whole: ``"leave"``, or ``"reset"`` to mean 0 and
            variance 1: those whose own weight or bias is masked, and those of the next norm in module order after a
            layer that lost all weights of that channel.

    Returns:
        How many weights were re-drawn, in all and by parameter.

    Raises:
        LetheError: a name the network does not have, a mask that is not bool or not of the parameter's shape, a
            layer with parameters of its own and no ``reset_parameters``, or an option out of range. Then nothing has
            been changed.

    Where LURE's code and Lethe differ:
        The code leaves the momentum in place, re-draws batch norm weights from U(−1, 1), and ranks biases but
        never re-draws them. Here a layer resets to what its kind begins with (batch norm: weight 1, bias 0).
    """
    fraction("shrink", shrink)
    non_negative("perturb", perturb)
    check_state(state)
    check_statistics(statistics)
    model = unwrapped(model)
    reshard(model)
    parameters = dict(model.named_parameters())
    held = owners(model)
    for name, mask in masks.items():
        _check_mask(name, mask, parameters)
    check_redraw(model, masks, init)
    check_initial(init, {name: parameters[name] for name in masks}, initial)
    counts: dict[str, int] = {}
    by_module: dict[nn.Module, list[tuple[str, str]]] = {}
    for name in masks:
        by_module.setdefault(held[name][0], []).append((name, held[name][1]))
    with torch.no_grad(), drawing_from(generator):
        for module, entries in by_module.items():
            fresh = fresh_values(module, entries, init, initial)
            for name, _ in entries:
                parameter = parameters[name]
                mask, drawn = cut(masks[name], parameter), cut(fresh.pop(name).to(parameter.dtype), parameter)
                here, masked, new = local([parameter, mask, drawn])
                if (shrink, perturb) != (0.0, 1.0):
                    new = shrink * here + perturb * new
                here.copy_(torch.where(masked, new, here))
                counts[name] = int(add_ranks(masked.sum(), parameter))
                if optimizer is not None:
                    forget_state(optimizer, parameter, mask, state)
        if statistics == "reset":
            reset_statistics(model, masks)
    return Forgotten(sum(counts.values()), sum(p.numel() for p in parameters.values()), counts)


def shrink_and_perturb(
    model: nn.Module,
    shrink: float = 0.4,
    perturb: float = 0.1,
    *,
    select: Select = everything,
    optimizer: Optimizer | None = None,
    generator: torch.Generator | None = None,
    init: str = "layer",
    initial: Mapping[str, Tensor] | None = None,
    state: str = "clear",
    statistics: str = "reset",
) -> Forgotten:
    """Forget softly: ``w ← shrink · w + perturb · new`` (Ash and Adams, NeurIPS 2020).

    Args:
        model: the network.
        shrink: in [0, 1]. The authors' code: 0.4; LURE's baseline 0.3.
        perturb: at least 0. The authors' code: 0.1; LURE's baseline 0.001.
        select: which parameters; default: all, normalisation included, whose weight of 1 then adds ``perturb``.
        optimizer: as for :func:`reinitialize`; the authors begin with a new one.
        generator: as for :func:`reinitialize`.
        init: as for :func:`reinitialize`; LURE's baseline: ``"kaiming"``. The authors build a new network:
            ``"rewind"``, with its weights as ``initial``.
        initial: as for :func:`reinitialize`.
        state: as for :func:`reinitialize`.
        statistics: ``"reset"``, as the authors', whose network is a new one; LURE's baseline: ``"leave"``.

    Returns:
        How many weights were moved.

    Raises:
        LetheError: as :func:`reinitialize`, for instance parameters without an initialiser: select others.
    """
    return reinitialize(
        model,
        whole_mask(model, select=select),
        optimizer=optimizer,
        generator=generator,
        init=init,
        initial=initial,
        shrink=shrink,
        perturb=perturb,
        state=state,
        statistics=statistics,
    )


def _check_mask(name: str, mask: Tensor, parameters: Mapping[str, Tensor]) -> None:
    if name not in parameters:
        raise LetheError(f"the network has no parameter {name!r}.{nearest(name, parameters)}")
    if mask.dtype != torch.bool or mask.shape != parameters[name].shape:
        raise LetheError(
            f"the mask of {name!r} must be a bool tensor of shape {tuple(parameters[name].shape)}, "
            f"got {mask.dtype} of shape {tuple(mask.shape)}."
        )
