"""What can be wrong with what FOMO is given, and is told before the first epoch."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from lethe._check import LetheError


def check_optimizer(optimizer: Optimizer | None, selected: Mapping[str, Tensor]) -> None:
    """Look whether the optimizer holds what may be forgotten, and would relearn it.

    Raises:
        LetheError: it holds nothing of it. Where it lacks some of it, which another may hold, that is a warning.
    """
    if optimizer is None:
        return
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    outside = [name for name, p in selected.items() if id(p) not in held]
    if len(outside) == len(selected):
        raise LetheError(
            "the optimizer holds none of the weights that are to be forgotten: give FOMO this model's optimizer, "
            "built after the model was moved, wrapped or sharded."
        )
    if outside:
        warnings.warn(
            f"the optimizer does not hold {len(outside)} of the parameters that may be forgotten, {outside[0]!r} among "
            "them: what no optimizer trains is not relearnt, and what another one remembers of them is not cleared. "
            "Freeze what does not learn, or choose with select.",
            stacklevel=3,
        )


def plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as a checkpoint may hold them: numpy's and torch's numbers would be refused at its loading."""
    return {name: value.item() if hasattr(value, "item") else value for name, value in settings.items()}


def warn_of_other_settings(saved: Mapping[str, Any], mine: Mapping[str, Any]) -> None:
    """Say what differs between the FOMO that was saved and the one that goes on: it is allowed, and may be a slip."""
    other = [name for name, value in mine.items() if name in saved and saved[name] != value]
    if other:
        differences = ", ".join(f"{name} {mine[name]!r} in place of {saved[name]!r}" for name in other)
        warnings.warn(f"the saved FOMO was built otherwise: this one goes on with {differences}.", stacklevel=3)
