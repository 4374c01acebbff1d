"""Adversarial training, and what is done to keep it from overfitting."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import nn
from torch.optim import Optimizer

from lethe import models
from lethe._check import LetheError, one_of
from lethe.attacks import PGD
from lethe.data import Splits
from lethe.engine import ComputeConfig, ScheduleConfig, WeightMethod
from lethe.methods import FOMOConfig
from lethe.objectives import OBJECTIVES, Objective, ObjectiveConfig, SmallLossPGDAT
from lethe.optim import RWP, AMPUnderAttackConfig, AWPConfig, RWPConfig
from lethe.recipes._standard import SGDRecipe, Twin
from lethe.recipes._together import Together
from lethe.recipes._warm_up import WarmUp, check_warmup


@dataclass(frozen=True, kw_only=True)
class ATRecipe(SGDRecipe):
    """PGD adversarial training: the baseline that FOMO, AWP and RWP are measured against."""

    name: ClassVar[str] = "at"
    source: ClassVar[str] = "Madry et al., ICLR 2018"
    cost: ClassVar[str] = "(2K + 3)F for PGD-K"

    compute: ComputeConfig = field(default_factory=lambda: ComputeConfig(precision="auto"))
    attack: PGD = field(default_factory=lambda: PGD(channels_last=True))
    robust: ObjectiveConfig = field(default_factory=ObjectiveConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.attack.targeted:
            raise LetheError("targeted would train on images that were made easier: leave it out.")
        if self.name in OBJECTIVES and self.robust.objective != self.name:
            raise LetheError(f"{self.name} minimises {self.name}: leave objective out, or take at or awp.")

    def network(self, splits: Splits) -> nn.Module:
        """The network, its weights stored as the attack hands images to it."""
        model = super().network(splits)
        return models.channels_last(model) if self.attack.channels_last else model

    def objective(self, classes: int) -> Objective:
        """PGD-AT, TRADES or MART."""
        return self.robust.build(self.attack)

    def evaluation_attack(self) -> PGD | None:
        """PGD with cross-entropy in the ball that was trained in, with the evaluation's number of steps."""
        a = self.attack
        return PGD(
            epsilon=a.epsilon,
            step_size=a.step_size,
            steps=self.evaluation.eval_steps,
            norm=a.norm,
            channels_last=a.channels_last,
            early_stop=self.evaluation.eval_early_stop,
        )


@dataclass(frozen=True, kw_only=True)
class TRADESRecipe(ATRecipe):
    """TRADES: clean cross-entropy, and the divergence of attacked from clean predictions."""

    name: ClassVar[str] = "trades"
    source: ClassVar[str] = "Zhang et al., ICML 2019"
    cost: ClassVar[str] = "(2K + 7)F for PGD-K"

    robust: ObjectiveConfig = field(default_factory=lambda: ObjectiveConfig(objective="trades"))


@dataclass(frozen=True, kw_only=True)
class MARTRecipe(ATRecipe):
    """MART: adversarial training that weighs misclassified images more."""

    name: ClassVar[str] = "mart"
    source: ClassVar[str] = "Wang et al., ICLR 2020"
    cost: ClassVar[str] = "(2K + 6)F for PGD-K"

    robust: ObjectiveConfig = field(default_factory=lambda: ObjectiveConfig(objective="mart"))


@dataclass(frozen=True, kw_only=True)
class WeightsConfig:
    """How weights are moved under FOMO."""

    weights: str = "sgd"
    """How weights are moved: by sgd, or by awp or amp over it, each with its own options."""

    def __post_init__(self) -> None:
        one_of("weights", self.weights, ("sgd", "awp", "amp"))


def _recomputing() -> FOMOConfig:
    """Unlike lethe.FOMO, which may not be given the images for it."""
    return FOMOConfig(stable_statistics="recompute")


@dataclass(frozen=True, kw_only=True)
class FOMORecipe(ATRecipe):
    """FOMO: adversarial training that alternates random forgetting and relearning, held by a stable model."""

    name: ClassVar[str] = "fomo"
    source: ClassVar[str] = "Ramkumar, Zonooz and Arani, ICLR 2024"
    cost: ClassVar[str] = "(2K + 5)F once it forgets, 1F less with statistics measured; 3F more with awp or amp"

    schedule: ScheduleConfig = field(default_factory=lambda: ScheduleConfig(schedule="constant"))
    fomo: FOMOConfig = field(default_factory=_recomputing)
    weights: WeightsConfig = field(default_factory=WeightsConfig)
    awp: AWPConfig = field(default_factory=AWPConfig)
    amp: AMPUnderAttackConfig = field(default_factory=AMPUnderAttackConfig)

    def check_start(self) -> None:
        """Something has to be forgotten."""
        super().check_start()
        first, epochs = round(self.fomo.start * self.schedule.epochs) + 1, self.schedule.epochs
        if first > epochs and not self.fomo.auto_start:
            raise LetheError(
                f"start {self.fomo.start:g} of {epochs} epochs is epoch {first}, so nothing would be forgotten: "
                "lower it; average and consistency without forgetting are --fraction 0."
            )
        seen = self.evaluation.eval_every * (self.fomo.patience + 1)  # epochs, of which the first may be the best
        if self.fomo.auto_start and seen >= epochs:
            raise LetheError(
                f"an automatic start of patience {self.fomo.patience} comes after {seen} epochs at the earliest, and "
                f"there are {epochs}, so nothing would be forgotten: lower patience or eval-every, or train longer."
            )
        if self.weights.weights == "awp":
            check_warmup("awp", self.awp.awp_warmup, epochs)

    def remarks(self) -> list[str]:
        """Also FOMO's; those of AWP or AMP where it does not move the weights; a forgetting that is not relearnt."""
        found = super().remarks()
        found += [f"--{name.replace('_', '-')} ({why}) acts on nothing" for name, why in self.fomo.idle()]
        for chosen, mine, default in (("awp", self.awp, AWPConfig()), ("amp", self.amp, AMPUnderAttackConfig())):
            if self.weights.weights != chosen:
                names = [name for name, value in vars(mine).items() if value != getattr(default, name)]
                by = self.weights.weights
                found += [f"--{name.replace('_', '-')} (weights are moved by {by}) acts on nothing" for name in names]
        relearnt = self.schedule.epochs - round(self.fomo.start * self.schedule.epochs)  # epochs from the first on
        unrelearnt = self.fomo.period > 1 and relearnt % self.fomo.period == 1
        if unrelearnt and self.schedule.epochs > 1 and not self.fomo.auto_start:
            found.append(
                "the last epoch begins with a forgetting, so the working model ends before it has relearnt; the stable "
                "one does not mind. Another start, period or number of epochs avoids it."
            )
        return found

    def optimizer(self, model: nn.Module, generator: torch.Generator) -> Optimizer:
        """SGD, or AWP or AMP over it."""
        if self.weights.weights == "awp":
            return self.awp.build(model.parameters(), **self.sgd.kwargs())
        if self.weights.weights == "amp":
            return self.amp.build(model.parameters(), **self.sgd.kwargs())
        return super().optimizer(model, generator)

    def method(
        self, model: nn.Module, optimizer: Optimizer, generator: torch.Generator, twin: Twin | None = None
    ) -> WeightMethod:
        """FOMO, and AWP's warm-up."""
        fomo = self.fomo.build(model, optimizer, self.schedule.epochs, generator, twin() if twin else None)
        return Together(WarmUp(optimizer, self.awp.awp_warmup), fomo) if self.weights.weights == "awp" else fomo


@dataclass(frozen=True, kw_only=True)
class AWPRecipe(ATRecipe):
    """AWP: adversarial training at weights pushed by a share of each tensor's norm."""

    name: ClassVar[str] = "awp"
    source: ClassVar[str] = "Wu, Xia and Wang, NeurIPS 2020"
    cost: ClassVar[str] = "(2K + 6)F for PGD-K with pgd-at, (2K + 13)F with trades, (2K + 12)F with mart"

    awp: AWPConfig = field(default_factory=AWPConfig)

    def check_start(self) -> None:
        """Weights have to be perturbed."""
        super().check_start()
        check_warmup(self.name, self.awp.awp_warmup, self.schedule.epochs)

    def optimizer(self, model: nn.Module, generator: torch.Generator) -> Optimizer:
        """AWP over SGD."""
        return self.awp.build(model.parameters(), **self.sgd.kwargs())

    def method(
        self, model: nn.Module, optimizer: Optimizer, generator: torch.Generator, twin: Twin | None = None
    ) -> WeightMethod:
        """The warm-up."""
        return WarmUp(optimizer, self.awp.awp_warmup)


@dataclass(frozen=True, kw_only=True)
class RWPRecipe(ATRecipe):
    """RWP: as AWP, but only samples with a small loss push the weights, in several steps."""

    name: ClassVar[str] = "rwp"
    source: ClassVar[str] = "Yu et al., IJCAI 2022"
    cost: ClassVar[str] = "(2K + 3 + 3N)F for PGD-K and N ascent steps"

    rwp: RWPConfig = field(default_factory=RWPConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.robust.objective != "pgd-at":
            raise LetheError(f"rwp goes with pgd-at alone, got {self.robust.objective!r}: awp goes with the others.")

    def check_start(self) -> None:
        """Weights have to be perturbed."""
        super().check_start()
        check_warmup(self.name, self.rwp.rwp_warmup, self.schedule.epochs)

    def objective(self, classes: int) -> Objective:
        """Cross-entropy on attacked images; the ascent's counts small losses only."""
        threshold = self.rwp.rwp_threshold
        if threshold is None:
            threshold = 4.0 if self.data.dataset == "cifar100" else 1.7
        return SmallLossPGDAT(self.attack, threshold)

    def optimizer(self, model: nn.Module, generator: torch.Generator) -> Optimizer:
        """RWP over SGD."""
        return RWP(model.parameters(), gamma=self.rwp.rwp_gamma, inner_iter=self.rwp.rwp_steps, **self.sgd.kwargs())

    def method(
        self, model: nn.Module, optimizer: Optimizer, generator: torch.Generator, twin: Twin | None = None
    ) -> WeightMethod:
        """The warm-up."""
        return WarmUp(optimizer, self.rwp.rwp_warmup)
