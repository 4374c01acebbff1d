"""The recipes of `lethe train`: a network trained on one data set from start to end."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
from torch import nn
from torch.optim import SGD, Optimizer

from lethe import models
from lethe._check import at_least
from lethe.attacks import PGD
from lethe.data import Splits, load
from lethe.engine import (
    NoMethod,
    Observer,
    RunDirectory,
    Training,
    WeightMethod,
    generators,
    run_training,
)
from lethe.evaluate import EvaluationConfig
from lethe.methods import FOMOConfig
from lethe.objectives import PGDAT, Objective, Standard
from lethe.optim import AMP, AMPConfig
from lethe.recipes._base import Recipe


@dataclass(frozen=True, kw_only=True)
class SGDRecipe(Recipe):
    """Standard training with SGD: the baseline that AMP is measured against."""

    name: ClassVar[str] = "sgd"
    source: ClassVar[str] = "baseline"
    cost: ClassVar[str] = "3F"

    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    def __post_init__(self) -> None:
        at_least("validation_size", 1 if self.data.validation_size is None else self.data.validation_size, 1)

    def optimizer(self, model: nn.Module) -> Optimizer:
        """What steps."""
        return SGD(model.parameters(), **self.sgd.kwargs())

    def objective(self) -> Objective:
        """What is minimised."""
        return Standard()

    def method(self, model: nn.Module, optimizer: Optimizer, generator: torch.Generator) -> WeightMethod:
        """What else acts on the weights."""
        return NoMethod()

    def evaluation_attack(self) -> PGD | None:
        """The attack of the robust accuracy, or None for clean accuracy alone."""
        return None

    def build(self, splits: Splits) -> Training:
        """Network, optimizer, objective and method, all from the run's seed."""
        torch.manual_seed(self.run.seed)
        streams = generators(self.run.seed)
        model = models.build(self.model, splits.train.classes, splits.mean, splits.std)
        model = model.to(splits.train.labels.device)
        optimizer = self.optimizer(model)
        method = self.method(model, optimizer, streams["method"])
        return Training(model, optimizer, self.schedule.build(optimizer), self.objective(), method, streams)

    def execute(
        self, *, observer: Observer | None = None, resume: RunDirectory | None = None
    ) -> tuple[RunDirectory, list[dict[str, Any]]]:
        """Train to the end, from the checkpoint of ``resume`` if there is one."""
        device = self.run.torch_device()
        splits = load(self.data).to(device)
        training = self.build(splits)
        directory = resume or RunDirectory.create(self.out(), self.options(), device)
        records = run_training(
            training,
            splits,
            directory,
            schedule=self.schedule,
            evaluation=self.evaluation,
            attack=self.evaluation_attack(),
            augment=self.data.augment,
            observer=observer,
            title=self.name,
            resume=resume is not None,
        )
        directory.finish({"recipe": self.name, "splits": str(splits), "epochs": training.epoch})
        return directory, records


@dataclass(frozen=True, kw_only=True)
class AMPRecipe(SGDRecipe):
    """Adversarial Model Perturbation: minimise the loss at the worst nearby weights."""

    name: ClassVar[str] = "amp"
    source: ClassVar[str] = "Zheng, Zhang and Mao, CVPR 2021"
    cost: ClassVar[str] = "3F (1 + N) for N inner steps"

    amp: AMPConfig = field(default_factory=AMPConfig)

    def optimizer(self, model: nn.Module) -> Optimizer:
        """AMP over SGD."""
        a = self.amp
        return AMP(
            model.parameters(),
            epsilon=a.epsilon,
            inner_lr=a.inner_lr,
            inner_iter=a.inner_iter,
            ball=a.ball,
            **self.sgd.kwargs(),
        )


@dataclass(frozen=True, kw_only=True)
class ATRecipe(SGDRecipe):
    """PGD adversarial training: the baseline that FOMO is measured against."""

    name: ClassVar[str] = "at"
    source: ClassVar[str] = "Madry et al., ICLR 2018"
    cost: ClassVar[str] = "(2K + 3)F for PGD-K"

    attack: PGD = field(default_factory=PGD)

    def objective(self) -> Objective:
        """Cross-entropy on attacked images."""
        return PGDAT(self.attack)

    def evaluation_attack(self) -> PGD | None:
        """The training attack with the evaluation's number of steps."""
        return replace(self.attack, steps=self.evaluation.eval_steps)


@dataclass(frozen=True, kw_only=True)
class FOMORecipe(ATRecipe):
    """FOMO: adversarial training that alternates random forgetting and relearning, held by a stable model."""

    name: ClassVar[str] = "fomo"
    source: ClassVar[str] = "Ramkumar, Zonooz and Arani, ICLR 2024"
    cost: ClassVar[str] = "(2K + 3)F, and 1F more after the first forgetting"

    fomo: FOMOConfig = field(default_factory=FOMOConfig)

    def method(self, model: nn.Module, optimizer: Optimizer, generator: torch.Generator) -> WeightMethod:
        """FOMO."""
        return self.fomo.build(model, optimizer, self.schedule.epochs, generator)
