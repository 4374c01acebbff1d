"""How FOMO's stable model comes by batch norm's running statistics."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor, nn

from lethe._check import LetheError
from lethe._shards import unwrapped
from lethe.consolidate import MeasuredStatistics, StableModel, recompute_statistics
from lethe.consolidate._norms import frozen_norms


class StableStatistics:
    """Averaged or copied with the weights; measured on what the stable model is asked; or recomputed after each epoch.

    Args:
        reading: ``average``, ``copy``, ``measure`` or ``recompute``.
        stable: the stable model; what its updates do with statistics is set here.
        model: the working network.
    """

    def __init__(self, reading: str, stable: StableModel, model: nn.Module) -> None:
        self.reading, self._stable, self._model = reading, stable, model
        self._measured = MeasuredStatistics(stable.module, model) if reading == "measure" else None
        # Norms whose counterparts do not learn either; None: not looked yet.
        self._frozen: list[nn.Module] | None = None
        # Before the first pass they follow the working model; where they are not measured, they are averaged.
        stable.statistics = {"recompute": "copy", "measure": "average"}.get(reading, reading)

    @property
    def recomputes(self) -> bool:
        """Whether they are recomputed after each epoch."""
        return self.reading == "recompute"

    @property
    def recomputed(self) -> bool:
        """Whether they have been, and are left alone by updates until the next time. Part of FOMO's state."""
        return self._stable.statistics == "leave"

    @recomputed.setter
    def recomputed(self, value: bool) -> None:
        if self.recomputes:
            self._stable.statistics = "leave" if value else "copy"

    def ask(self, question: Callable[[], Tensor]) -> Tensor:
        """The answer of a question to the stable model that counts, where they are measured."""
        return question() if self._measured is None else self._measured.ask(question)

    def end_step(self) -> frozenset[int]:
        """Move what was measured in this step.

        Returns:
            The ``id`` of each buffer that was moved, which an update of the stable model leaves alone.
        """
        if (
            self.recomputes and self._frozen is None
        ):  # looked at in a step: before the epoch's end the loop may evaluate
            self._frozen = frozen_norms(self._stable.module, self._model)
        return frozenset[int]() if self._measured is None else self._measured.move()

    def end_epoch(self, images: Callable[[], Iterable[Tensor]] | None) -> None:
        """Recompute them, if that is what is done.

        Raises:
            LetheError: there are no images for it.
        """
        if not self.recomputes:
            return
        if not callable(images):
            raise LetheError(
                "stable_statistics='recompute' needs images: end_epoch(epoch, images), where images() returns the "
                "training images, batch by batch."
            )
        recompute_statistics(self._stable.module, images(), self._frozen or ())
        self._frozen, self.recomputed = None, True

    def state_dict(self) -> dict[str, Any]:
        """Whether they were recomputed, and the names of the norms that will not be at the end of this epoch."""
        names = [n for n, m in unwrapped(self._stable.module).named_modules() if m in (self._frozen or ())]
        return {"recomputed": self.recomputed, "frozen": None if self._frozen is None else names}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load what :meth:`state_dict` returned."""
        self.recomputed = bool(state.get("recomputed", False))
        names, modules = state.get("frozen"), dict(unwrapped(self._stable.module).named_modules())
        self._frozen = None if names is None else [modules[name] for name in names]

    def forget(self) -> None:
        """Let go of what was seen in a step that is not ended."""
        if self._measured is not None:
            self._measured.forget()
