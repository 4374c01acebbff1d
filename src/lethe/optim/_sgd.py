"""The options of plain SGD, the base optimizer of every recipe, and of clipping."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lethe._check import LetheError, non_negative, positive


@dataclass(frozen=True, kw_only=True)
class SGDConfig:
    """Stochastic gradient descent."""

    lr: float = 0.1
    """Learning rate at the start."""
    momentum: float = 0.9
    """Momentum."""
    weight_decay: float = 5e-4
    """Weight decay (l2), on every parameter."""
    nesterov: bool = False
    """Nesterov's momentum."""
    clip_norm: float | None = None
    """Clip the gradients of every pass to this global norm (AMP's script: 50); none: do not."""

    def __post_init__(self) -> None:
        non_negative("lr", self.lr)
        non_negative("momentum", self.momentum)
        non_negative("weight_decay", self.weight_decay)
        if self.clip_norm is not None:
            positive("clip_norm", self.clip_norm)
        if self.nesterov and self.momentum == 0:
            raise LetheError("nesterov needs a momentum above 0: set momentum, or leave nesterov off.")

    def kwargs(self) -> dict[str, Any]:
        """The arguments of ``torch.optim.SGD``, learning rate included."""
        return {
            "lr": self.lr,
            "momentum": self.momentum,
            "weight_decay": self.weight_decay,
            "nesterov": self.nesterov,
        }
