"""Standard training at perturbed weights: AMP, SAM and the random baseline."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import nn
from torch.optim import Optimizer

from lethe.optim import AMP, RMP, SAM, AMPConfig, RMPConfig, SAMConfig
from lethe.recipes._standard import SGDRecipe


@dataclass(frozen=True, kw_only=True)
class AMPRecipe(SGDRecipe):
    """Adversarial Model Perturbation: minimise the loss at the worst nearby weights."""

    name: ClassVar[str] = "amp"
    source: ClassVar[str] = "Zheng, Zhang and Mao, CVPR 2021"
    cost: ClassVar[str] = "3F (1 + N) for N inner steps"

    amp: AMPConfig = field(default_factory=AMPConfig)

    def optimizer(self, model: nn.Module, generator: torch.Generator) -> Optimizer:
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
class SAMRecipe(SGDRecipe):
    """Sharpness-Aware Minimization, and ASAM with --adaptive: one ascent step of a fixed length."""

    name: ClassVar[str] = "sam"
    source: ClassVar[str] = "Foret et al., ICLR 2021; ASAM: Kwon et al., ICML 2021"
    cost: ClassVar[str] = "6F"

    sam: SAMConfig = field(default_factory=SAMConfig)

    def optimizer(self, model: nn.Module, generator: torch.Generator) -> Optimizer:
        """SAM over SGD."""
        return SAM(model.parameters(), rho=self.sam.rho, adaptive=self.sam.adaptive, **self.sgd.kwargs())


@dataclass(frozen=True, kw_only=True)
class RMPRecipe(SGDRecipe):
    """Random Model Perturbation: the baseline that shows what AMP's direction is worth."""

    name: ClassVar[str] = "rmp"
    source: ClassVar[str] = "a baseline of Zheng, Zhang and Mao, CVPR 2021"
    cost: ClassVar[str] = "3F"

    rmp: RMPConfig = field(default_factory=RMPConfig)

    def optimizer(self, model: nn.Module, generator: torch.Generator) -> Optimizer:
        """RMP over SGD, drawing from the run's own generator."""
        return RMP(model.parameters(), epsilon=self.rmp.epsilon, generator=generator, **self.sgd.kwargs())
