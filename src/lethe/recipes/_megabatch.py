"""What a megabatch begins with: fresh, or carried over from the one before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import nn
from torch.optim import Optimizer

from lethe._check import one_of
from lethe.data import steps_per_epoch
from lethe.engine import ScheduleConfig, Training
from lethe.engine._schedule import StepScheduler

STATES = ("fresh", "carried")


@dataclass(frozen=True, kw_only=True)
class MegabatchConfig:
    """What a megabatch begins with."""

    optimizer_state: str = "fresh"
    """The optimizer's momentum at the beginning of a megabatch: fresh, none, as in facebookresearch/alma; or carried
    over from the last step of the one before, as in LURE's repository."""
    lr_state: str = "fresh"
    """The learning rate that a megabatch's schedule begins at: fresh, lr again; or carried, that of the last step of
    the one before."""
    schedule_state: str = "fresh"
    """The schedule of the learning rate: fresh, begun anew by each megabatch; or carried, over with the first: the rate
    then stays at what lr-state says."""

    def __post_init__(self) -> None:
        for name in ("optimizer_state", "lr_state", "schedule_state"):
            one_of(name, getattr(self, name), STATES)


class Starts:
    """Makes what trains each megabatch, and hands on what is carried over from the one before.

    A run that goes on within a megabatch has what was carried into it from its checkpoint.

    Args:
        config: what is carried.
        schedule: of each megabatch.
        optimizer: makes a new one for a network.
        training: makes, of network, optimizer and scheduler, what trains.
    """

    def __init__(
        self,
        config: MegabatchConfig,
        schedule: ScheduleConfig,
        optimizer: Callable[[nn.Module], Optimizer],
        training: Callable[[nn.Module, Optimizer, StepScheduler], Training],
    ) -> None:
        self._config, self._schedule = config, schedule
        self._optimizer, self._training = optimizer, training
        self._before: tuple[Optimizer, StepScheduler] | None = None

    def __call__(self, model: nn.Module, images: int, megabatch: int) -> Training:
        """What trains ``model`` on so many images, those of the megabatch of this number, from 0."""
        config, schedule = self._config, self._schedule
        if megabatch and config.schedule_state == "carried":
            schedule = replace(schedule, schedule="constant", warmup=0.0)
        optimizer = self._optimizer(model)
        if self._before is not None:
            before, scheduler = self._before
            if config.optimizer_state == "carried":
                carry_state(before, optimizer)
            if config.lr_state == "carried":
                for group, rate in zip(optimizer.param_groups, last_rates(scheduler), strict=True):
                    group["lr"] = rate
        scheduler = StepScheduler(optimizer, schedule, steps_per_epoch(images, schedule.batch_size))
        self._before = optimizer, scheduler
        return self._training(model, optimizer, scheduler)


def carry_state(before: Optimizer, optimizer: Optimizer) -> None:
    """Give a new optimizer what another remembers of the same parameters; its options stay its own."""
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({**before.state_dict(), "param_groups": groups})


def last_rates(scheduler: StepScheduler) -> list[float]:
    """With which learning rates the last step was made; before the first those that the schedule begins at.

    Of a megabatch whose number of images was not known yet no step has been made when it is begun once more.
    """
    steps, highest = scheduler.last_epoch, [float(base) for base in scheduler.base_lrs]
    if steps == 0:
        return highest
    return [scheduler.config.rate(rate, steps - 1, scheduler.steps_per_epoch) for rate in highest]
