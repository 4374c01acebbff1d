"""Published remedies for robust overfitting beside FOMO: averages of the weights, distillation, AMP."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import torch
from torch import nn
from torch.optim import Optimizer

from lethe._check import LetheError
from lethe.data import DataConfig
from lethe.engine import RunDirectory, WeightMethod
from lethe.methods import EMA, SWA, EMAConfig, SWAConfig
from lethe.objectives import Distillation, DistillationConfig, Objective
from lethe.optim import AMPUnderAttackConfig
from lethe.recipes._adversarial import ATRecipe
from lethe.recipes._classes import check_classes
from lethe.recipes._standard import Twin


@dataclass(frozen=True, kw_only=True)
class ATAMPRecipe(ATRecipe):
    """Adversarial training at the worst weights near by: AMP on the attacked batch."""

    name: ClassVar[str] = "at-amp"
    source: ClassVar[str] = "Zheng, Zhang and Mao, CVPR 2021, with Madry et al., ICLR 2018"
    cost: ClassVar[str] = "(2K + 3 + 3N)F for PGD-K and N inner steps"

    amp: AMPUnderAttackConfig = field(default_factory=AMPUnderAttackConfig)

    def optimizer(self, model: nn.Module, generator: torch.Generator) -> Optimizer:
        """AMP over SGD."""
        return self.amp.build(model.parameters(), **self.sgd.kwargs())


@dataclass(frozen=True, kw_only=True)
class ATEMARecipe(ATRecipe):
    """Adversarial training with a moving average of the weights, and nothing else."""

    name: ClassVar[str] = "at-ema"
    source: ClassVar[str] = "Gowal et al., arXiv 2010.03593"
    cost: ClassVar[str] = "(2K + 3)F for PGD-K"

    ema: EMAConfig = field(default_factory=EMAConfig)

    def method(
        self, model: nn.Module, optimizer: Optimizer, generator: torch.Generator, twin: Twin | None = None
    ) -> WeightMethod:
        """The moving average."""
        return EMA(model, self.ema.decay, twin() if twin else None)


@dataclass(frozen=True, kw_only=True)
class ATSWARecipe(ATRecipe):
    """Adversarial training with stochastic weight averaging: the even average of late epochs."""

    name: ClassVar[str] = "at-swa"
    source: ClassVar[str] = "Izmailov et al., UAI 2018; Chen et al., ICLR 2021"
    cost: ClassVar[str] = "(2K + 3)F for PGD-K, and from its start on 1F for batch norm"

    swa: SWAConfig = field(default_factory=SWAConfig)

    def check_start(self) -> None:
        """Something has to be averaged."""
        super().check_start()
        epochs, share = self.schedule.epochs, self.swa.swa_start
        if round(share * epochs) >= epochs:
            raise LetheError(
                f"swa-start {share:g} of {epochs} epochs is after the last one, so nothing would be averaged: lower it."
            )

    def method(
        self, model: nn.Module, optimizer: Optimizer, generator: torch.Generator, twin: Twin | None = None
    ) -> WeightMethod:
        """The even average."""
        if twin is not None:
            raise LetheError(f"{self.name} cannot average a sharded network: take strategy ddp.")
        return SWA(model, round(self.swa.swa_start * self.schedule.epochs))


@dataclass(frozen=True, kw_only=True)
class KDSWARecipe(ATSWARecipe):
    """KD-SWA: at-swa that also learns from a clean and a robust teacher. Name their runs."""

    name: ClassVar[str] = "kd-swa"
    source: ClassVar[str] = "Chen et al., ICLR 2021"
    cost: ClassVar[str] = "(2K + 5)F for PGD-K, and from its start on 1F for batch norm"

    distillation: DistillationConfig = field(default_factory=DistillationConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.robust.objective != "pgd-at":
            raise LetheError(f"kd-swa goes with pgd-at alone, got {self.robust.objective!r}: leave objective out.")

    def objective(self, classes: int) -> Objective:
        """Labels and the two teachers."""
        from lethe.recipes._load_model import load_model  # which knows all recipes, this one among them

        runs = {
            "--clean-teacher": self.distillation.clean_teacher,
            "--robust-teacher": self.distillation.robust_teacher,
        }
        missing = [option for option, run in runs.items() if run is None]
        if missing:
            raise LetheError(
                f"kd-swa needs {' and '.join(missing)}: run directories of lethe train sgd and lethe train at "
                "with the same data."
            )
        for run in runs.values():
            self._check_teacher(str(run))
        device = self.run.torch_device()
        clean, robust = (load_model(str(run)).to(device) for run in runs.values())
        return Distillation(self.attack, clean, robust, self.distillation)

    def _check_teacher(self, run: str) -> None:
        """A teacher must be finished, and have seen the same images and none of those that are held out here."""
        directory = RunDirectory.open(Path(run))
        if directory.summary() is None:  # resumed, the student would have another
            raise LetheError(f"the teacher {run!r} is not finished: go on with lethe train --resume {run} first.")
        check_classes(directory, self.data, "take a teacher of the same classes")
        theirs = directory.config()["data"]
        defaults = dataclasses.asdict(DataConfig())
        for option, ours in dataclasses.asdict(self.data).items():
            found = theirs.get(option, defaults[option])
            if option not in MAY_DIFFER and found != ours:
                raise LetheError(
                    f"the teacher {run!r} was trained with {option} {found}, this run has {ours}: train it on the same "
                    "split."
                )


MAY_DIFFER = ("data_dir", "download", "workers", "augment", "train_size", "label_noise")
"""Options of a teacher's data that change neither its images nor which of them are held out."""
