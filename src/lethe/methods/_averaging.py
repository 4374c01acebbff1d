"""Averages of the weights alone: nothing is forgotten and nothing is added to the loss."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from lethe._check import fraction
from lethe.consolidate import StableModel, recompute_statistics
from lethe.methods._no_method import NoMethod


class EMA(NoMethod):
    """An exponential moving average, moved at each step (:class:`lethe.consolidate.StableModel`).

    Args:
        model: the working network.
        decay: in [0, 1].
        stable: a ready copy of the network to move; needed under FSDP2.
    """

    def __init__(self, model: nn.Module, decay: float, stable: nn.Module | None = None) -> None:
        self.model = model
        self._stable = StableModel(model, decay, stable)

    @property
    def stable(self) -> nn.Module:
        """The averaged model."""
        return self._stable.module

    def end_step(self) -> None:
        """Move the average."""
        self._stable.update(self.model)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return self._stable.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load it."""
        self._stable.load_state_dict(state)


class SWA(NoMethod):
    """Stochastic weight averaging (Izmailov et al., UAI 2018): the even average of the weights at the ends of epochs.

    Through ``torch.optim.swa_utils``. After each update batch norm's statistics are recomputed by a pass over the
    augmented clean training images, as in the code of Chen et al., ICLR 2021. Until ``start`` there is no average.

    Args:
        model: the working network.
        start: first epoch, counted from 0, whose end enters the average.
    """

    def __init__(self, model: nn.Module, start: int) -> None:
        self.model, self.start = model, start
        self._averaged = AveragedModel(model)
        self._averaged.requires_grad_(False)

    @property
    def stable(self) -> nn.Module | None:
        """The averaged model; None before there is one."""
        return self._averaged.module.eval() if int(self._averaged.n_averaged) else None

    def end_epoch(self, epoch: int, images: Callable[[], Iterable[Tensor]]) -> None:
        """Let the weights at the end of this epoch enter the average, and recompute its batch statistics."""
        if epoch < self.start:
            return
        self._averaged.update_parameters(self.model)
        recompute_statistics(self._averaged, images())

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {"averaged": self._averaged.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load it."""
        self._averaged.load_state_dict(state["averaged"])


@dataclass(frozen=True, kw_only=True)
class EMAConfig:
    """The moving average's own option."""

    decay: float = 0.999
    """Of the moving average, per step."""

    def __post_init__(self) -> None:
        fraction("decay", self.decay)


@dataclass(frozen=True, kw_only=True)
class SWAConfig:
    """The even average's own option."""

    swa_start: float = 0.275
    """First epoch that enters the average, as a share of the epochs (KD-SWA's code: 55 of 200)."""

    def __post_init__(self) -> None:
        fraction("swa_start", self.swa_start)
