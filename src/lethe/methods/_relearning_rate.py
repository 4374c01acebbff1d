"""The learning rate while FOMO relearns."""

from __future__ import annotations

from torch import Tensor
from torch.optim import Optimizer


class RelearningRate:
    """Holds each group's learning rate at a share of its first one, whatever a schedule sets.

    The first one is noted in the group as torch's schedules do (``initial_lr``), so that the optimizer's own state
    holds it.

    Args:
        optimizer: whose groups; those that are added later, too.
        share: of the first learning rate.
    """

    def __init__(self, optimizer: Optimizer, share: float) -> None:
        self.optimizer, self.share = optimizer, float(share)
        self._note()

    def hold(self) -> None:
        """Set the learning rates; call it again after whoever else sets them."""
        self._note()
        for group in self.optimizer.param_groups:
            rate = self.share * float(group["initial_lr"])
            if isinstance(group["lr"], Tensor):  # a captured step reads it where it lies
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    def _note(self) -> None:
        for group in self.optimizer.param_groups:
            group.setdefault("initial_lr", float(group["lr"]))
