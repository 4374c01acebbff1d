"""Train as usual before weights are perturbed."""

from __future__ import annotations

from torch.optim import Optimizer

from lethe._check import LetheError, at_least
from lethe.engine._method import Batches
from lethe.methods import NoMethod


def check_warmup(name: str, warmup: int, epochs: int) -> None:
    """Raise where a method's warm-up outlasts the run."""
    if warmup >= epochs:
        raise LetheError(
            f"{name}-warmup is {warmup} epochs, the run {epochs}, so no weight would be perturbed: warm up for fewer."
        )


class WarmUp(NoMethod):
    """Keep an AWP or RWP optimizer's ``gamma`` at 0 for the first epochs, as their scripts do on SVHN (5 epochs).

    An epoch of warm-up costs as much as any other: the passes at perturbed weights are made at the weights.

    Args:
        optimizer: whose groups have a ``gamma``; theirs is kept for the epochs that follow.
        epochs: how many, at least 0.
    """

    def __init__(self, optimizer: Optimizer, epochs: int) -> None:
        self.optimizer, self.epochs = optimizer, at_least("warm-up epochs", epochs, 0)
        self._gammas = [group["gamma"] for group in optimizer.param_groups]

    def begin_epoch(self, epoch: int, batches: Batches | None = None) -> None:
        """Set ``gamma`` for this epoch; within one, a resumed run has it from the optimizer's state."""
        for group, gamma in zip(self.optimizer.param_groups, self._gammas, strict=True):
            group["gamma"] = 0.0 if epoch < self.epochs else gamma
