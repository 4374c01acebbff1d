"""The stable model: an exponential moving average of a network's weights."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from lethe._check import LetheError, fraction


class StableModel:
    """An exponential moving average (EMA) of a network, in evaluation mode and without gradients.

    Update number t (from 0) is ``stable ← d·stable + (1 − d)·working`` with ``d = min(decay, 1 − 1/(t + 1))``: the
    first update copies, the early ones average evenly, so that the random start does not linger.

    Floating-point buffers (batch norm's running statistics) are averaged with the weights; others (its batch
    counter) are copied. FOMO does not say what it does with them; CURE's code leaves them alone, which makes a
    stable model with the statistics of the start.

    Args:
        model: the network to average; a deep copy of it is made.
        decay: in [0, 1]. 0 follows the working model, 1 keeps the even average of all updates.

    Raises:
        LetheError: ``decay`` out of range, or weights in half precision.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = fraction("decay", decay)
        if any(p.dtype in (torch.float16, torch.bfloat16) for p in model.parameters()):
            raise LetheError(
                "a moving average of half-precision weights stands still, since its steps round to nothing: keep the "
                "weights in fp32 and use autocast."
            )
        self.updates = 0
        self.module = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move the stable model towards ``model``."""
        keep = min(self.decay, 1.0 - 1.0 / (self.updates + 1))
        averaged: tuple[list[Tensor], list[Tensor]] = ([], [])
        for mine, theirs in zip(_tensors(self.module), _tensors(model), strict=True):
            if mine.is_floating_point():
                averaged[0].append(mine)
                averaged[1].append(theirs.detach())
            else:
                mine.copy_(theirs)
        torch._foreach_lerp_(averaged[0], averaged[1], 1.0 - keep)
        self.updates += 1

    def state_dict(self) -> dict[str, Any]:
        """Weights, buffers and the number of updates."""
        return {"module": self.module.state_dict(), "updates": self.updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load what :meth:`state_dict` returned."""
        self.module.load_state_dict(state["module"])
        self.updates = int(state["updates"])


def _tensors(model: nn.Module) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]
