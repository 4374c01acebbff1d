"""Nothing beside the optimizer: what methods that do one thing alone are made from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor, nn

from lethe.forget._criteria import Batches


class NoMethod:
    """Does nothing, at every place where the loop asks a method (:class:`lethe.engine.WeightMethod`)."""

    @property
    def stable(self) -> nn.Module | None:
        """None: there is no second model."""
        return None

    def begin_epoch(self, epoch: int, batches: Batches | None = None) -> object | None:
        """Nothing to do."""
        return None

    def consistency(self, x: Tensor, logits: Tensor, clean: Tensor | None = None) -> Tensor:
        """Zero."""
        return logits.new_zeros(())

    def end_step(self) -> None:
        """Nothing to do."""

    def end_epoch(self, epoch: int, images: Callable[[], Iterable[Tensor]]) -> None:
        """Nothing to do."""

    def observe(self, accuracy: float) -> None:
        """Nothing to do."""

    def state_dict(self) -> dict[str, Any]:
        """Nothing to keep."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to load."""
