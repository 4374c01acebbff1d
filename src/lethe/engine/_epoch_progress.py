"""How far an epoch is: what a checkpoint needs to go on in the middle of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass
class EpochProgress:
    """An epoch's place in the data, and its sums so far.

    Attributes:
        order: state of the ``data`` generator as the epoch began, from which its order is drawn again.
        event: what the method did at the beginning.
        batches: steps that are done.
        seen: images that they had.
        loss: sum of the losses of these images.
        correct: number of them that were classified right.
        seconds: that they took.
        lr: learning rate of the first step; None in checkpoints that do not say.
    """

    order: Tensor
    event: str | None
    loss: Tensor
    correct: Tensor
    batches: int = 0
    seen: int = 0
    seconds: float = 0.0
    lr: float | None = None

    @classmethod
    def begin(cls, order: Tensor, event: object | None, device: torch.device, lr: float) -> EpochProgress:
        """Nothing is done yet."""
        zero, none = torch.zeros((), device=device), torch.zeros((), dtype=torch.long, device=device)
        return cls(order, None if event is None else str(event), zero, none, lr=lr)

    def state_dict(self) -> dict[str, Any]:
        """As a checkpoint holds it."""
        return {**vars(self), "loss": self.loss.clone(), "correct": self.correct.clone()}

    @classmethod
    def from_state(cls, state: dict[str, Any], device: torch.device) -> EpochProgress:
        """From a checkpoint, on the model's device."""
        return cls(**{**state, "loss": state["loss"].to(device), "correct": state["correct"].to(device)})
