"""What all recipes of `lethe anytime` share: a network trained on megabatches as they arrive."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, Optimizer

from lethe import _launched, models
from lethe._check import LetheError, at_least, one_of
from lethe.anytime import MegabatchStream, cumulative_error
from lethe.attacks import PGD
from lethe.data import DataConfig, ImageSet, Splits, class_names, image_side, load
from lethe.engine import (
    Compute,
    Observer,
    Processes,
    RunDirectory,
    ScheduleConfig,
    Training,
    alone,
    generators,
    run_stream,
)
from lethe.engine._schedule import StepScheduler
from lethe.methods import NoMethod
from lethe.objectives import PGDAT, Standard
from lethe.optim import SAM, AMPUnderAttackConfig, SAMConfig
from lethe.recipes._anytime_costs import costs_of, described
from lethe.recipes._base import Recipe
from lethe.recipes._between import Between
from lethe.recipes._classes import check_classes
from lethe.recipes._megabatch import MegabatchConfig, Starts
from lethe.recipes._stream import StreamConfig, chosen_on_others
from lethe.track import TrackingObserver

ATTACK = PGD(channels_last=True)


@dataclass(frozen=True, kw_only=True)
class LearningConfig:
    """What is minimised on each megabatch, and how weights are moved."""

    optimizer_rule: str = "sgd"
    """How weights are moved: by sgd, or by amp or sam over it, each with its own options."""
    adversarial: bool = False
    """PGD adversarial training, as recipe at, with the attack's own options; the best epoch is then chosen by robust
    accuracy."""
    eval_steps: int = 20
    """PGD steps of the robust accuracy under adversarial training."""

    def __post_init__(self) -> None:
        one_of("optimizer_rule", self.optimizer_rule, ("sgd", "amp", "sam"))
        at_least("eval_steps", self.eval_steps, 1)


def _refuse(options: PGD | AMPUnderAttackConfig | SAMConfig, default: object, what: str) -> None:
    """Raise where options are given that nothing would read."""
    given = [field.name for field in fields(options) if getattr(options, field.name) != getattr(default, field.name)]
    if given:
        raise LetheError(f"{given[0]} is of {what}, or leave it out.")


@dataclass(frozen=True, kw_only=True)
class AnytimeRecipe(Recipe):
    """A learner: what it does between two megabatches is :meth:`between`."""

    data: DataConfig = field(default_factory=lambda: DataConfig(validation_size=0))
    schedule: ScheduleConfig = field(default_factory=lambda: ScheduleConfig(epochs=10, milestones=(0.4, 0.8)))
    stream: StreamConfig = field(default_factory=StreamConfig)
    megabatch: MegabatchConfig = field(default_factory=MegabatchConfig)
    learning: LearningConfig = field(default_factory=LearningConfig)
    amp: AMPUnderAttackConfig = field(default_factory=AMPUnderAttackConfig)
    sam: SAMConfig = field(default_factory=SAMConfig)
    attack: PGD = field(default_factory=lambda: ATTACK)

    def __post_init__(self) -> None:
        if self.data.validation_size != 0:
            raise LetheError(
                "a stream has no validation set of its own: leave --validation-size out, and set --holdout."
            )
        if self.stream.arrivals is not None and self.data.label_noise:
            raise LetheError("label_noise is of a data set's training images, and these arrive: leave it out.")
        if self.compute.devices > 1:
            raise LetheError("anytime learning runs on one device so far: leave --devices out.")
        if self.megabatch.lr_state == "carried" and self.schedule.schedule == "cyclic":
            raise LetheError("a cyclic rate ends at 0, which would be carried over: leave lr_state or schedule out.")
        if self.attack.targeted:
            raise LetheError("targeted would train on images that were made easier: leave it out.")
        rule = self.learning.optimizer_rule
        if not self.learning.adversarial:
            _refuse(self.attack, ATTACK, "adversarial training: add --adversarial")
        if rule != "amp":
            _refuse(self.amp, AMPUnderAttackConfig(), "AMP: add --optimizer-rule amp")
        if rule != "sam":
            _refuse(self.sam, SAMConfig(), "SAM: add --optimizer-rule sam")

    @abstractmethod
    def between(self, at: Between) -> object | None:
        """Act on the network before it trains on a megabatch that is not the first; a result is the event."""

    def images_seen(self, new: int, train: int) -> int:
        """How many of so many new and so many training images :meth:`between` looks at."""
        return 0

    def length(self) -> str:
        """How long each megabatch is trained, and how many there are."""
        stream = self.stream
        arriving = f"{stream.megabatches} megabatches"
        if stream.arrivals is not None:
            arriving = f"megabatches that arrive in {stream.arrivals}"
        elif stream.megabatch_size is not None:
            arriving = f"megabatches of {stream.megabatch_size} images"
        return f"{super().length()} on each of the {arriving}"

    @property
    def official(self) -> bool:
        """Whether the recipe does as LURE's published code, which carries one optimizer through all megabatches."""
        return False

    def carrying(self) -> MegabatchConfig:
        """What a megabatch begins with."""
        return replace(self.megabatch, optimizer_state="carried") if self.official else self.megabatch

    def resolved(self) -> AnytimeRecipe:
        """With what ``auto`` and ``official`` mean in their place."""
        return replace(super().resolved(), megabatch=self.carrying())

    def network(self, splits: Splits) -> nn.Module:
        """The network, on the data's device; initial weights come from torch's global generator."""
        model = models.build(self.model, splits.train.classes, splits.mean, splits.std, image_side(self.data))
        model = model.to(splits.train.labels.device)
        return models.channels_last(model) if self.learning.adversarial and self.attack.channels_last else model

    def optimizer(self, model: nn.Module) -> Optimizer:
        """SGD, or AMP or SAM over it."""
        if self.learning.optimizer_rule == "amp":
            return self.amp.build(model.parameters(), **self.sgd.kwargs())
        if self.learning.optimizer_rule == "sam":
            return SAM(model.parameters(), rho=self.sam.rho, adaptive=self.sam.adaptive, **self.sgd.kwargs())
        return SGD(model.parameters(), **self.sgd.kwargs())

    def starts(self, streams: dict[str, torch.Generator]) -> Starts:
        """Makes what trains each megabatch; the loop draws from these streams."""

        def training(model: nn.Module, optimizer: Optimizer, scheduler: StepScheduler) -> Training:
            objective = PGDAT(self.attack) if self.learning.adversarial else Standard()
            compute = Compute(self.compute, Processes(next(model.parameters()).device), self.sgd.clip_norm)
            return Training(model, optimizer, scheduler, objective, NoMethod(), streams, compute)

        return Starts(self.carrying(), self.schedule, self.optimizer, training)

    def evaluation_attack(self) -> PGD | None:
        """The attack of the robust accuracy; None without adversarial training."""
        a = self.attack
        if not self.learning.adversarial:
            return None
        steps, last = self.learning.eval_steps, a.channels_last
        return PGD(epsilon=a.epsilon, step_size=a.step_size, steps=steps, norm=a.norm, channels_last=last)

    def execute(
        self, *, observer: Observer | None = None, resume: RunDirectory | None = None
    ) -> tuple[RunDirectory, list[dict[str, Any]]]:
        """Make the run, from the checkpoint of ``resume`` if there is one.

        After each megabatch a line with ``test/errors`` is added to the metrics. Beside it stand ``test/ece`` (expected
        calibration error), ``flops`` (of training and forgetting, counted; evaluation is not), ``flops_forgetting``,
        ``learning_speed`` (:func:`lethe.anytime.learning_speed`, of the accuracy that the best epoch is chosen by) and
        ``gap`` (:func:`lethe.anytime.generalisation_gap`, at the best epoch). An epoch's line has its ``seconds``.

        Each megabatch starts from the best model of the one before, chosen on its validation images, with an optimizer
        and schedule that are fresh, as in ALMA's own code, or carried, as ``megabatch`` says.
        """
        if _launched.count() > 1:
            raise LetheError("anytime learning runs on one device so far: start it without torchrun.")
        device, options = self.run.torch_device(), self.resolved().options()
        if resume:
            check_classes(resume, self.data, "put the folders back as they were")
        splits = load(self.data, file_order=self.stream.in_file_order).to(device)
        stream = self.stream.build(splits, self.data)
        if isinstance(stream, MegabatchStream) and self.stream.in_file_order and not resume:
            for remark in chosen_on_others(stream, splits.train.labels):
                (observer or Observer()).say(remark)
        torch.manual_seed(self.run.seed)
        streams = generators(self.run.seed)
        model = self.network(splits)
        costs = costs_of(self, model, splits)

        def between(training: Training, new: ImageSet, train: ImageSet) -> object | None:
            return self.between(Between(training, new, train, streams["method"], self.newborn(splits)))

        directory = resume or RunDirectory.create(self.out(), options, device, classes=class_names(self.data))
        one = alone(directory, Processes(device))
        with one, TrackingObserver(observer or Observer(), self.track, options) as tracked:
            records = run_stream(
                model,
                self.starts(streams),
                between,
                stream,
                splits,
                directory,
                schedule=self.schedule,
                augment=self.data.augmentation(),
                attack=self.evaluation_attack(),
                describe=lambda net, epochs, closing: described(self, net, epochs, closing, splits, costs),
                observer=tracked,
                title=self.name,
                resume=resume is not None,
                checkpoint_minutes=self.run.checkpoint_minutes,
            )
        learnt = [record for record in records if "test/errors" in record]
        errors = [record["test/errors"] for record in learnt]
        directory.finish(
            {
                "recipe": self.name,
                "splits": str(splits) if self.stream.arrivals is None else f"{len(splits.test):,} test images",
                "test/errors": errors,
                "cumulative_error": cumulative_error(errors),
                "cumulative_error_rate": cumulative_error([e / len(splits.test) for e in errors]),
                "flops": sum(record.get("flops", 0) for record in learnt),
            }
        )
        return directory, records

    def newborn(self, splits: Splits) -> Callable[[int], nn.Module]:
        """Makes the network as it is born from a seed, and leaves torch's global generator as it was."""

        def born(seed: int) -> nn.Module:
            with torch.random.fork_rng(devices=[]):
                torch.default_generator.manual_seed(seed)  # the CPU's, which draws them, alone
                return self.network(splits)

        return born
