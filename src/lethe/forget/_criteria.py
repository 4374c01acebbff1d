"""All criteria under one signature, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lethe.forget._dormant import dormant_mask, parameters_of_units
from lethe.forget._fisher import fisher_mask
from lethe.forget._gradient import gradient_mask
from lethe.forget._granularity import units
from lethe.forget._magnitude import magnitude_mask
from lethe.forget._random import random_mask
from lethe.forget._select import Select, selected_parameters
from lethe.forget._snip import snip_mask
from lethe.forget._whole import whole_mask

Batches = Iterable[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Wanted:
    """What a method asks a criterion for.

    Attributes:
        fraction: share to forget.
        select: which parameters may be chosen.
        granularity: weights, channels or layers.
        count: overall or per-tensor.
        tau: of dormant units.
    """

    fraction: float
    select: Select
    granularity: str
    count: str
    tau: float

    def units(self) -> dict[str, Any]:
        """The options that criteria which count share."""
        return {"select": self.select, "granularity": self.granularity, "count": self.count}


def _check_units(model: nn.Module, wanted: Wanted) -> object:
    return units(model, selected_parameters(model, wanted.select), wanted.granularity)


@dataclass(frozen=True)
class Criterion:
    """A way to choose what to forget.

    Attributes:
        mask: makes the masks, from network, batches (empty where it needs none), what is wanted, and a generator.
        needs_batches: whether it looks at data.
        counts: whether it keeps to the fraction; the others choose by what they find.
        check: raises where the network cannot give what is wanted, so that this is known before training begins.
    """

    mask: Callable[[nn.Module, Batches, Wanted, torch.Generator | None], dict[str, Tensor]]
    needs_batches: bool = False
    counts: bool = True
    check: Callable[[nn.Module, Wanted], object] = _check_units


CRITERIA: dict[str, Criterion] = {
    "random": Criterion(lambda model, _, w, g: random_mask(model, w.fraction, generator=g, **w.units())),
    "magnitude": Criterion(lambda model, _, w, __: magnitude_mask(model, w.fraction, ties="first", **w.units())),
    "snip": Criterion(lambda model, b, w, _: snip_mask(model, b, w.fraction, ties="first", **w.units()), True),
    "fisher": Criterion(lambda model, b, w, _: fisher_mask(model, b, w.fraction, ties="first", **w.units()), True),
    "gradient": Criterion(lambda model, b, w, _: gradient_mask(model, b, w.fraction, ties="first", **w.units()), True),
    "dormant": Criterion(
        lambda model, b, w, _: dormant_mask(model, b, w.tau, select=w.select),
        needs_batches=True,
        counts=False,
        check=lambda model, w: parameters_of_units(model, w.select),
    ),
    "whole": Criterion(
        lambda model, _, w, __: whole_mask(model, select=w.select),
        counts=False,
        check=lambda model, w: selected_parameters(model, w.select),
    ),
}
"""A new criterion is one more file and one more line here; the tests of all criteria then run it, too."""
