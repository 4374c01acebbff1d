"""FOMO: alternate forgetting and relearning, held by a stable model."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lethe._check import LetheError, at_least, non_negative
from lethe._check import fraction as check_fraction
from lethe.consolidate import StableModel, consistency_loss
from lethe.forget import Forgotten, Select, later_layers, random_mask, reinitialize
from lethe.forget._select import selected_parameters


class FOMO:
    """Random forgetting against robust overfitting (Ramkumar, Zonooz and Arani, ICLR 2024, arXiv 2402.11733).

    From epoch ``start`` on, each ``period`` epochs, a random ``fraction`` of the later layers' weights is re-drawn
    (*forgetting*) and the epochs between train them anew (*relearning*). A moving average of the weights, the
    *stable model*, consolidates what outlives this, and after the first forgetting a consistency loss holds the
    working model to it. Put it into a loop of your own with three lines::

        fomo = FOMO(model, optimizer, start=100, period=5, fraction=0.035)
        for epoch in range(epochs):
            fomo.begin_epoch(epoch)                                    # 1
            for x, y in loader:
                x_adv = attack(model, x, y)
                logits = model(x_adv)
                loss = cross_entropy(logits, y) + fomo.consistency(x_adv, logits)   # 2
                optimizer.zero_grad(); loss.backward(); optimizer.step()
                fomo.end_step()                                        # 3
        evaluate(fomo.stable)

    Cost: the average, which is element-wise, and after the first forgetting one forward pass of the stable model for
    each pass of the optimizer.

    Args:
        model: the working network.
        optimizer: what it learns in the forgotten weights (momentum, Adam's moments) is cleared; None: no clearing.
        start: first epoch, counted from 0, that begins with a forgetting.
        period: epochs from one forgetting to the next.
        fraction: share of the selected weights to forget, in [0, 1].
        select: which parameters may be forgotten; default: the later half of the convolutional and linear layers.
        decay: of the stable model's moving average, per step, in [0, 1].
        consistency: weight of the consistency loss; 0 leaves it and its forward pass out.
        generator: source of the masks and of the new weights; None is torch's global one.

    Raises:
        LetheError: a value out of range, or ``select`` matches nothing (found here, not at the first forgetting).

    Where paper and Lethe differ:
        The paper's repository holds no code, and the constants could not be read; ``start=105`` of 200 epochs,
        ``period=5``, ``fraction=0.035`` and ``decay=0.999`` are from memory and unverified, so each is an option.
        Unknown in the paper and decided here: the average moves at every step, batch norm's statistics with it;
        forgotten weights are drawn from their layer's own initialiser and their momentum is cleared; the consistency
        loss is ``KL(stable ‖ working)`` on the images that are trained on.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer | None = None,
        *,
        start: int = 105,
        period: int = 5,
        fraction: float = 0.035,
        select: Select = None,
        decay: float = 0.999,
        consistency: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> None:
        self.start = at_least("start", start, 0)
        self.period = at_least("period", period, 1)
        self.fraction = check_fraction("fraction", fraction)
        self.consistency_weight = non_negative("consistency", consistency)
        self.select = later_layers(0.5) if select is None else select
        self.model, self.optimizer, self.generator = model, optimizer, generator
        self.forgettings = 0
        self._forgot_at = -1  # the epoch of the last forgetting
        self._stable = StableModel(model, decay)
        selected_parameters(model, self.select)  # raises where it matches nothing

    @property
    def stable(self) -> nn.Module:
        """The stable model, in evaluation mode, without gradients."""
        return self._stable.module

    def begin_epoch(self, epoch: int) -> Forgotten | None:
        """Forget, when this epoch (from 0) is due.

        A second call for the same epoch does nothing: a run resumed within an epoch begins it anew.

        Returns:
            What was forgotten, or None.
        """
        if epoch < self.start or (epoch - self.start) % self.period or epoch == self._forgot_at:
            return None
        masks = random_mask(self.model, self.fraction, select=self.select, generator=self.generator)
        forgotten = reinitialize(self.model, masks, optimizer=self.optimizer, generator=self.generator)
        self.forgettings, self._forgot_at = self.forgettings + 1, epoch
        return forgotten

    def consistency(self, x: Tensor, logits: Tensor) -> Tensor:
        """The weighted consistency loss, a scalar; 0 before the first forgetting.

        Args:
            x: images, (B, C, H, W) in [0, 1], that gave ``logits``.
            logits: of the working model, (B, K).
        """
        if self.forgettings == 0 or self.consistency_weight == 0:
            return logits.new_zeros(())
        with torch.no_grad():
            stable_logits = self.stable(x)
        return self.consistency_weight * consistency_loss(logits, stable_logits)

    def end_step(self) -> None:
        """Move the stable model; call it after each step of the optimizer."""
        self._stable.update(self.model)

    def end_epoch(self, epoch: int, images: Callable[[], Iterable[Tensor]]) -> None:
        """Nothing to do; the loop of ``lethe train`` calls it."""

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs: stable model, forgettings, and the generator's state if there is one."""
        generator = None if self.generator is None else self.generator.get_state()
        counts = {"forgettings": self.forgettings, "forgot_at": self._forgot_at}
        return {"stable": self._stable.state_dict(), **counts, "generator": generator}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load what :meth:`state_dict` returned."""
        self._stable.load_state_dict(state["stable"])
        self.forgettings, self._forgot_at = int(state["forgettings"]), int(state["forgot_at"])
        if self.generator is None and state["generator"] is not None:
            raise LetheError("the saved FOMO drew from a generator of its own: build this one with generator=... too.")
        if self.generator is not None and state["generator"] is not None:
            self.generator.set_state(state["generator"])


@dataclass(frozen=True, kw_only=True)
class FOMOConfig:
    """FOMO's own options."""

    start: float = 0.525
    """When forgetting begins, as a share of the epochs (unverified: epoch 105 of the paper's 200)."""
    period: int = 5
    """Epochs from one forgetting to the next (unverified)."""
    fraction: float = 0.035
    """Share of the later layers' weights that is forgotten (unverified: 3.5 %)."""
    later_layers: float = 0.5
    """Which layers forget: the last share of the convolutional and linear layers."""
    decay: float = 0.999
    """Of the stable model's moving average, per step."""
    consistency: float = 1.0
    """Weight of the consistency loss after the first forgetting."""

    def __post_init__(self) -> None:
        for name in ("start", "fraction", "later_layers", "decay"):
            check_fraction(name, getattr(self, name))
        at_least("period", self.period, 1)
        non_negative("consistency", self.consistency)

    def build(self, model: nn.Module, optimizer: Optimizer, epochs: int, generator: torch.Generator) -> FOMO:
        """FOMO for a run of so many epochs."""
        return FOMO(
            model,
            optimizer,
            start=round(self.start * epochs),
            period=self.period,
            fraction=self.fraction,
            select=later_layers(self.later_layers),
            decay=self.decay,
            consistency=self.consistency,
            generator=generator,
        )
