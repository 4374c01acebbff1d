"""Several methods in one run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor, nn

from lethe.engine import WeightMethod
from lethe.engine._method import Batches


class Together:
    """Each method in turn; the first that has a stable model, or an event, speaks.

    Args:
        methods: at least one.
    """

    def __init__(self, *methods: WeightMethod) -> None:
        self.methods = methods

    @property
    def stable(self) -> nn.Module | None:
        """The first stable model."""
        return next((m.stable for m in self.methods if m.stable is not None), None)

    def begin_epoch(self, epoch: int, batches: Batches | None = None) -> object | None:
        """Begin it for all."""
        events = [method.begin_epoch(epoch, batches) for method in self.methods]
        return next((event for event in events if event is not None), None)

    def consistency(self, x: Tensor, logits: Tensor, clean: Tensor | None = None) -> Tensor:
        """The sum."""
        total = logits.new_zeros(())
        for method in self.methods:
            total = total + method.consistency(x, logits, clean)
        return total

    def end_step(self) -> None:
        """End it for all."""
        for method in self.methods:
            method.end_step()

    def end_epoch(self, epoch: int, images: Callable[[], Iterable[Tensor]]) -> None:
        """End it for all."""
        for method in self.methods:
            method.end_epoch(epoch, images)

    def observe(self, accuracy: float) -> None:
        """Tell all."""
        for method in self.methods:
            method.observe(accuracy)

    def state_dict(self) -> dict[str, Any]:
        """Of each."""
        return {str(at): method.state_dict() for at, method in enumerate(self.methods)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load it."""
        for at, method in enumerate(self.methods):
            method.load_state_dict(state[str(at)])
