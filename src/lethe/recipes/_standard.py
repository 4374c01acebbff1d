"""Standard training, and what every recipe of `lethe train` shares: one data set, from start to end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import nn
from torch.optim import SGD, Optimizer

from lethe import models
from lethe._check import LetheError, at_least
from lethe._guard import evaluation_mode
from lethe.attacks import PGD
from lethe.data import ImageSet, Splits, batches, class_names, image_side, load, steps_per_epoch
from lethe.engine import (
    Compute,
    Observer,
    Processes,
    RunDirectory,
    ScheduleConfig,
    Training,
    WeightMethod,
    alone,
    generators,
    processes,
    run_training,
)
from lethe.evaluate import EvaluationConfig
from lethe.methods import NoMethod
from lethe.objectives import Objective, Standard
from lethe.optim import RMP, TwoPassOptimizer
from lethe.recipes._base import Recipe
from lethe.recipes._classes import check_classes
from lethe.track import TrackingObserver

Twin = Callable[[], nn.Module]
"""Makes a second network with the first one's initial weights, kept in shares as that is."""


@dataclass(frozen=True, kw_only=True)
class SGDRecipe(Recipe):
    """Standard training with SGD: the baseline that AMP is measured against."""

    name: ClassVar[str] = "sgd"
    source: ClassVar[str] = "baseline"
    cost: ClassVar[str] = "3F"

    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    def __post_init__(self) -> None:
        at_least("validation_size", 1 if self.data.validation_size is None else self.data.validation_size, 1)

    def optimizer(self, model: nn.Module, generator: torch.Generator) -> Optimizer:
        """What steps; ``generator`` is there for rules that draw."""
        return SGD(model.parameters(), **self.sgd.kwargs())

    def objective(self, classes: int) -> Objective:
        """What is minimised, on so many classes."""
        return Standard()

    def method(
        self, model: nn.Module, optimizer: Optimizer, generator: torch.Generator, twin: Twin | None = None
    ) -> WeightMethod:
        """What else acts on the weights; ``twin`` makes a copy of a model that cannot be copied, being sharded."""
        return NoMethod()

    def evaluation_attack(self) -> PGD | None:
        """The attack of the robust accuracy, or None for clean accuracy alone."""
        return None

    def network(self, splits: Splits) -> nn.Module:
        """The network, on the data's device; initial weights come from torch's global generator."""
        model = models.build(self.model, splits.train.classes, splits.mean, splits.std, image_side(self.data))
        return model.to(splits.train.labels.device)

    def build(self, splits: Splits, together: Processes | None = None) -> Training:
        """Network, optimizer, objective and method, all from the run's seed, alike in all processes."""
        together = together or Processes(splits.train.labels.device)
        torch.manual_seed(self.run.seed)
        streams = generators(self.run.seed)
        if len(splits.validation) == 0:
            raise LetheError("there is no validation image, by which the best epoch is chosen: set --validation-size.")
        model = self.network(splits)
        try_out(model, splits.validation)
        model = together.prepare(model, sync_batch_norm=self.compute.sync_batch_norm)

        def twin() -> nn.Module:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(self.run.seed)  # the same initial weights
                return together.prepare(self.network(splits), sync_batch_norm=self.compute.sync_batch_norm)

        optimizer = self.optimizer(model, streams["method"])
        self._check_devices(together, optimizer, len(splits.train))
        training = Training(
            model,
            optimizer,
            self.schedule.build(
                optimizer, steps_per_epoch(len(splits.train), self.schedule.batch_size, together.count)
            ),
            self.objective(splits.train.classes),
            self.method(model, optimizer, streams["method"], twin if together.sharded else None),
            streams,
            Compute(self.compute, together, self.sgd.clip_norm),
        )
        if not together.first:  # dropout draws apart in each process
            torch.manual_seed(self.run.seed + 1_000_003 * together.rank)
        return training

    def check_start(self) -> None:
        """See, before a run begins, whether its method can act in so many epochs.

        Raises:
            LetheError: it cannot, so that the run would be another method's.
        """

    def remarks(self) -> list[str]:
        """What the user should know before a run begins: options that were chosen and act on nothing."""
        schedule, default = self.schedule, ScheduleConfig()
        piecewise = ("milestones", "gamma", "schedule_by") if schedule.schedule != "piecewise" else ()
        cyclic = ("cyclic_peak",) if schedule.schedule != "cyclic" else ()
        return [
            f"--{name.replace('_', '-')} (the schedule is {schedule.schedule}) acts on nothing"
            for name in (*piecewise, *cyclic)
            if getattr(schedule, name) != getattr(default, name)
        ]

    def _check_devices(self, together: Processes, optimizer: Optimizer, images: int) -> None:
        """What several devices cannot do, before anything is written."""
        least = 2 * together.count
        if together.count > 1 and images < least:
            raise LetheError(f"{together.count} devices need at least {least} training images, and there are {images}.")
        if together.count > 1 and self.schedule.batch_size < least:
            raise LetheError(f"{together.count} devices need batches of at least {least} images: set batch_size.")
        if together.sharded and isinstance(optimizer, RMP):
            raise LetheError(
                "RMP cannot perturb a network in shares, on which its draw would depend: take strategy ddp."
            )
        if self.compute.apart and not (together.count > 1 and isinstance(optimizer, TwoPassOptimizer)):
            raise LetheError(
                "apart is for several devices and an optimizer of two passes: leave it out, or take several."
            )

    def execute(
        self, *, observer: Observer | None = None, resume: RunDirectory | None = None
    ) -> tuple[RunDirectory, list[dict[str, Any]]]:
        """Train to the end, from the checkpoint of ``resume`` if there is one."""
        options = self.resolved().options()
        together = processes(self.run.torch_device(), self.compute.devices, self.compute.strategy)
        if resume is None:
            self.check_start()
            for remark in self.remarks():
                (observer or Observer()).say(remark)
        if resume:
            together.share(lambda: check_classes(resume, self.data, "put the folders back as they were"))
        splits = together.in_turn(lambda: load(self.data)).to(together.device)
        training = self.build(splits, together)
        directory = resume or together.share(
            lambda: RunDirectory.create(self.out(), options, together.device, together.count, class_names(self.data))
        )
        with alone(directory, together), TrackingObserver(observer or Observer(), self.track, options) as tracked:
            records = run_training(
                training,
                splits,
                directory,
                schedule=self.schedule,
                evaluation=self.evaluation,
                attack=self.evaluation_attack(),
                augment=self.data.augmentation(),
                observer=tracked,
                title=self.name,
                resume=resume is not None,
                checkpoint_minutes=self.run.checkpoint_minutes,
            )
        summary = {"recipe": self.name, "splits": str(splits), "epochs": training.epoch}
        together.share(lambda: directory.finish(summary))
        return directory, records


def try_out(model: nn.Module, data: ImageSet) -> None:
    """Run one image through the network, before anything is written."""
    x, _ = next(batches(data, 1))
    try:
        with evaluation_mode(model), torch.no_grad():
            model(x)
    except (RuntimeError, AssertionError) as error:
        size = "x".join(map(str, x.shape[1:]))
        reason = str(error).partition("\n")[0]
        raise LetheError(f"this network cannot take images of {size} ({reason}): choose another --model.") from error
