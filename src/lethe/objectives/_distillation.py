"""Adversarial training towards two teachers."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from lethe._check import LetheError, non_negative, positive
from lethe.attacks import PGD
from lethe.objectives._adversarial import PGDAT
from lethe.objectives._objective import Batch


@dataclass(frozen=True, kw_only=True)
class DistillationConfig:
    """Distillation's own options."""

    clean_teacher: str | None = None
    """Run directory of standard training, whose best model teaches."""
    robust_teacher: str | None = None
    """Run directory of adversarial training, whose best model teaches."""
    temperature: float = 2.0
    """Divides the logits of teachers and student."""
    clean_weight: float = 0.1
    """Of the clean teacher; the labels have what the two weights leave of 1."""
    robust_weight: float = 0.6
    """Of the robust teacher."""

    def __post_init__(self) -> None:
        positive("temperature", self.temperature)
        non_negative("clean_weight", self.clean_weight)
        non_negative("robust_weight", self.robust_weight)
        if self.clean_weight + self.robust_weight > 1:
            raise LetheError("clean_weight and robust_weight together must not exceed 1: labels have the rest.")


class Distillation(PGDAT):
    """PGD-AT whose targets are labels and two teachers' predictions on the attacked images. Cost: (2K+5)F a step.

    ``(1 - a - b) · CE + a · T² · CE(clean teacher) + b · T² · CE(robust teacher)``, with logits over T (the knowledge
    distillation of Chen et al., ICLR 2021, as coded: a = 0.1, b = 0.6, T = 2). Together with stochastic weight
    averaging this is KD-SWA.

    Args:
        attack: of the images.
        clean_teacher: a network; its mode is put to evaluation, and no gradient flows into it.
        robust_teacher: likewise.
        config: temperature and weights.
    """

    def __init__(
        self, attack: PGD, clean_teacher: nn.Module, robust_teacher: nn.Module, config: DistillationConfig
    ) -> None:
        super().__init__(attack)
        self.teachers = [teacher.eval().requires_grad_(False) for teacher in (clean_teacher, robust_teacher)]
        self.config = config

    def loss(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the loss, and the logits of the attacked images."""
        c, logits = self.config, model(batch.images)
        log_p = (logits / c.temperature).log_softmax(1)
        total = (1 - c.clean_weight - c.robust_weight) * F.cross_entropy(logits, batch.targets)
        for weight, teacher in zip((c.clean_weight, c.robust_weight), self.teachers, strict=True):
            taught = (teacher(batch.images).to(logits.dtype) / c.temperature).softmax(1)  # from half, under autocast
            total = total - weight * c.temperature**2 * (taught * log_p).sum(1).mean()
        return total, logits
