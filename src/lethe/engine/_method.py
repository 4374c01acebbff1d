"""What acts on the weights besides the optimizer, as the loop sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from torch import Tensor, nn

Batches = Iterable[tuple[Tensor, Tensor]]


class WeightMethod(Protocol):
    """Called in this order: ``begin_epoch``, for each step ``consistency`` and ``end_step``, and ``end_epoch``.

    After an evaluation, ``observe``.
    """

    @property
    def stable(self) -> nn.Module | None:
        """A second model to evaluate, or None."""
        ...

    def begin_epoch(self, epoch: int, batches: Batches | None = None) -> object | None:
        """Act between epochs; a result that is not None is recorded as the epoch's event.

        ``batches`` runs through images as they are trained on, and labels, for who needs them; nothing is made, and
        nothing drawn, until it is read.
        """
        ...

    def consistency(self, x: Tensor, logits: Tensor, clean: Tensor | None = None) -> Tensor:
        """A scalar that is added to the loss of this pass; ``clean`` are the images before they were attacked."""
        ...

    def end_step(self) -> None:
        """Act after a step of the optimizer."""
        ...

    def end_epoch(self, epoch: int, images: Callable[[], Iterable[Tensor]]) -> None:
        """Act after the last step of an epoch; ``images`` runs through the augmented training images once more."""
        ...

    def observe(self, accuracy: float) -> None:
        """Be told the working model's validation accuracy, in [0, 1], robust if training is."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load it."""
        ...
