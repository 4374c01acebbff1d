"""How far an epoch is: what a checkpoint needs to go on in the middle of one."""

from __future__ import annotations

from collections.abc import Callable
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
        loss: sum of the losses of this process's part of these images.
        correct: number of the part that was classified right.
        seconds: that they took.
        lr: learning rate of the first step; None in checkpoints that do not say.
        left_out: images of this process's part in steps whose loss was not finite, in which a gradient scaler finds
            its scale; they are not in the sum of losses.
    """

    order: Tensor
    event: str | None
    loss: Tensor
    correct: Tensor
    left_out: Tensor
    batches: int = 0
    seen: int = 0
    seconds: float = 0.0
    lr: float | None = None

    @classmethod
    def begin(cls, order: Tensor, event: object | None, device: torch.device, lr: float) -> EpochProgress:
        """Nothing is done yet."""
        zero, none = torch.zeros((), device=device), torch.zeros((), dtype=torch.long, device=device)
        return cls(order, None if event is None else str(event), zero, none, none.clone(), lr=lr)

    def add(self, loss: Tensor, correct: Tensor, part: int, images: int, *, scaled: bool) -> None:
        """Count a step's sums of losses and of right answers on this process's part of a batch.

        Args:
            loss: with a scaler one that is not finite is left out: the step was, too, and where the reported pass is at
                perturbed weights (RMP, RWP), these were not finite on purpose.
            correct: number of images.
            part: images of this process.
            images: of the whole batch.
            scaled: whether there is a gradient scaler.
        """
        if scaled:
            finite = loss.isfinite()
            self.left_out += torch.where(finite, 0, part)
            loss = torch.where(finite, loss, 0.0)
        self.loss += loss
        self.correct += correct
        self.seen += images
        self.batches += 1

    def mean_loss(self, total: Callable[[Tensor], Tensor]) -> float:
        """Of the images so far; nan where no step's loss was finite."""
        counted = self.seen - int(total(self.left_out))
        return float(total(self.loss)) / counted if counted else float("nan")

    def state_dict(self, total: Callable[[Tensor], Tensor]) -> dict[str, Any]:
        """As a checkpoint holds it; ``total`` sums over the processes of the run."""
        sums = {"loss": total(self.loss).clone(), "correct": total(self.correct).clone()}
        return {**vars(self), **sums, "left_out": int(total(self.left_out))}

    @classmethod
    def from_state(cls, state: dict[str, Any], device: torch.device, *, ours: bool = True) -> EpochProgress:
        """From a checkpoint, on the model's device; the sums are one process's, and 0 in the others."""
        loss, correct = (state[name].to(device) * ours for name in ("loss", "correct"))
        left_out = torch.tensor(state.get("left_out", 0) * ours, device=device)
        return cls(**{**state, "loss": loss, "correct": correct, "left_out": left_out})
