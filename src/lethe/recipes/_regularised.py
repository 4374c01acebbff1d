"""The regularisers that AMP's paper compares itself with, at its settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from lethe._check import LetheError
from lethe.attacks import PGD
from lethe.models import ModelConfig
from lethe.objectives import (
    PGDAT,
    Flooding,
    FloodingConfig,
    LabelSmoothing,
    LabelSmoothingConfig,
    MixUp,
    MixUpConfig,
    Objective,
)
from lethe.recipes._standard import SGDRecipe


@dataclass(frozen=True, kw_only=True)
class DropoutRecipe(SGDRecipe):
    """Standard training with dropout."""

    name: ClassVar[str] = "dropout"
    source: ClassVar[str] = "Srivastava et al., JMLR 2014; a baseline of AMP's paper"
    cost: ClassVar[str] = "3F"

    model: ModelConfig = field(default_factory=lambda: ModelConfig(dropout=0.1))


@dataclass(frozen=True, kw_only=True)
class LabelSmoothingRecipe(SGDRecipe):
    """Standard training against softened labels."""

    name: ClassVar[str] = "label-smoothing"
    source: ClassVar[str] = "Szegedy et al., CVPR 2016; a baseline of AMP's paper"
    cost: ClassVar[str] = "3F"

    label_smoothing: LabelSmoothingConfig = field(default_factory=LabelSmoothingConfig)

    def objective(self, classes: int) -> Objective:
        """Cross-entropy against softened labels."""
        return LabelSmoothing(self.label_smoothing.smoothing)


@dataclass(frozen=True, kw_only=True)
class FloodingRecipe(SGDRecipe):
    """Standard training whose loss is kept at a level above 0."""

    name: ClassVar[str] = "flooding"
    source: ClassVar[str] = "Ishida et al., ICML 2020; a baseline of AMP's paper"
    cost: ClassVar[str] = "3F"

    flooding: FloodingConfig = field(default_factory=FloodingConfig)

    def objective(self, classes: int) -> Objective:
        """The flooded cross-entropy."""
        return Flooding(self.flooding.flood_level)


@dataclass(frozen=True, kw_only=True)
class MixUpRecipe(SGDRecipe):
    """Standard training on images and labels mixed in pairs."""

    name: ClassVar[str] = "mixup"
    source: ClassVar[str] = "Zhang et al., ICLR 2018; a baseline of AMP's paper"
    cost: ClassVar[str] = "3F"

    mixup: MixUpConfig = field(default_factory=MixUpConfig)

    def objective(self, classes: int) -> Objective:
        """Cross-entropy of the mixtures."""
        return MixUp(classes, self.mixup.mixup_alpha)


@dataclass(frozen=True, kw_only=True)
class InputATRecipe(SGDRecipe):
    """Adversarial training with one small step, as a regulariser: clean accuracy is what counts."""

    name: ClassVar[str] = "input-at"
    source: ClassVar[str] = "Goodfellow et al., ICLR 2015; a baseline of AMP's paper"
    cost: ClassVar[str] = "(2K + 3)F for PGD-K: 5F"

    input_attack: PGD = field(default_factory=lambda: PGD(epsilon=1 / 255, step_size=1 / 255, steps=1))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.input_attack.targeted:
            raise LetheError("targeted would train on images that were made easier: leave it out.")

    def objective(self, classes: int) -> Objective:
        """Cross-entropy on attacked images."""
        return PGDAT(self.input_attack)
