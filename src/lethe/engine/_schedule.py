"""How long a run is, and with what learning rate each of its steps is made."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lethe._check import LetheError, at_least, fraction, non_negative, one_of

SCHEDULES = ("piecewise", "cosine", "cyclic", "constant")


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """How long, and with what learning rate."""

    epochs: int = 30
    """Epochs (of each megabatch, in anytime learning)."""
    batch_size: int = 128
    """Images in a batch."""
    schedule: str = "piecewise"
    """How the learning rate goes: piecewise (falls at milestones), cosine (to 0), cyclic (up from 0, and down to 0) or
    constant."""
    milestones: tuple[float, ...] = (0.5, 0.75)
    """When the learning rate falls, as shares of the epochs; of piecewise."""
    gamma: float = 0.1
    """By what factor a piecewise rate falls. (AWP's gamma is awp-gamma, RWP's rwp-gamma.)"""
    schedule_by: str = "epoch"
    """When a piecewise rate falls: epoch, at the beginning of an epoch; step, with the step that ends at the milestone,
    as in Rice's and AWP's scripts: of 200 epochs the last step of the 100th is the first with a lower rate."""
    cyclic_peak: float = 0.4
    """When a cyclic rate is highest, as a share of the epochs."""
    warmup: float = 0.0
    """So many epochs, fractions included, the learning rate grows step by step to what the schedule says."""

    def __post_init__(self) -> None:
        at_least("epochs", self.epochs, 1)
        at_least("batch_size", self.batch_size, 2)
        one_of("schedule", self.schedule, SCHEDULES)
        one_of("schedule_by", self.schedule_by, ("epoch", "step"))
        for milestone in self.milestones:
            fraction("a milestone", milestone)
        non_negative("gamma", self.gamma)
        if not 0.0 < self.cyclic_peak < 1.0:
            raise LetheError(f"cyclic_peak must lie between 0 and 1, got {self.cyclic_peak}: it is a share of the run.")
        if non_negative("warmup", self.warmup) > self.epochs:
            raise LetheError(
                f"warmup is {self.warmup} epochs, the run {self.epochs}: warm up for fewer, or train longer."
            )

    def build(self, optimizer: Optimizer, steps_per_epoch: int) -> LRScheduler:
        """The scheduler, whose ``step()`` is called once after *every* step of the optimizer.

        Args:
            optimizer: whose groups' learning rates are the schedule's highest.
            steps_per_epoch: as :func:`lethe.data.steps_per_epoch` counts them, at least 1.
        """
        return StepScheduler(optimizer, self, at_least("steps_per_epoch", steps_per_epoch, 1))

    def rate(self, highest: float, step: int, steps_per_epoch: int) -> float:
        """The learning rate of a step.

        Piecewise and cyclic by step look at the epochs that are done when the step has been made, as Rice et al.'s
        script (ICML 2020) does, so that a cyclic run's last step has rate 0. Cosine looks at those that are done before
        it, as torch's ``CosineAnnealingLR`` does (Rice's script is one step ahead). The warm-up multiplies what the
        schedule says and moves nothing in it.

        Args:
            highest: learning rate that the optimizer was made with.
            step: counted from 0 through the whole run.
            steps_per_epoch: at least 1.
        """
        total, rate = self.epochs * steps_per_epoch, highest
        if self.schedule == "piecewise":
            falls = Counter(self._first_lower_step(milestone, steps_per_epoch) for milestone in self.milestones)
            for first, times in sorted(falls.items()):
                if step >= first:
                    rate *= self.gamma**times
        elif self.schedule == "cosine":
            rate *= (1 + math.cos(math.pi * min(step, total) / total)) / 2
        elif self.schedule == "cyclic":
            done = min(step + 1, total) / total
            up = done <= self.cyclic_peak
            rate *= done / self.cyclic_peak if up else (1 - done) / (1 - self.cyclic_peak)
        growing = self.warmup * steps_per_epoch
        return rate * (step + 1) / growing if step + 1 < growing else rate

    def _first_lower_step(self, milestone: float, steps_per_epoch: int) -> int:
        if self.schedule_by == "epoch":  # at 0 it would fall before it began
            return max(1, round(milestone * self.epochs)) * steps_per_epoch
        # The first step s with (s + 1) / steps_per_epoch >= milestone * epochs; the product may be off by some bits.
        return max(0, math.ceil(milestone * self.epochs * steps_per_epoch - 1e-6) - 1)


class StepScheduler(LRScheduler):
    """Sets the learning rates of a :class:`ScheduleConfig`, from nothing but the number of steps that are done."""

    def __init__(self, optimizer: Optimizer, config: ScheduleConfig, steps_per_epoch: int) -> None:
        self.config, self.steps_per_epoch = config, steps_per_epoch
        super().__init__(optimizer)

    def get_lr(self) -> list[float | Tensor]:
        """The learning rate of each group in the step to come."""
        return [self.config.rate(float(base), self.last_epoch, self.steps_per_epoch) for base in self.base_lrs]

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers."""
        return {
            "steps": self.last_epoch,
            "steps_per_epoch": self.steps_per_epoch,
            "base_lrs": [float(base) for base in self.base_lrs],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load what :meth:`state_dict` returned, or the state of a ``MultiStepLR`` that counted epochs.

        The latter is what checkpoints of version 0.1.0 have, saved between epochs. On another number of devices an
        epoch may have other steps, where its last images are too few for a batch: epochs count then.
        """
        self.base_lrs = list(state["base_lrs"])
        self.last_epoch = state["steps"] if "steps" in state else state["last_epoch"] * self.steps_per_epoch
        if (theirs := state.get("steps_per_epoch", self.steps_per_epoch)) != self.steps_per_epoch:
            epochs, within = divmod(self.last_epoch, theirs)
            self.last_epoch = epochs * self.steps_per_epoch + min(within, self.steps_per_epoch)
        self._last_lr = [float(group["lr"]) for group in self.optimizer.param_groups]
