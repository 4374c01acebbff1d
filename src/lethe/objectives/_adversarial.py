"""Adversarial training."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lethe.attacks import PGD
from lethe.objectives._standard import Standard


class PGDAT(Standard):
    """PGD adversarial training (Madry et al., ICLR 2018): cross-entropy on attacked images. Cost: (2K+3)F a step."""

    def __init__(self, attack: PGD) -> None:
        self.attack = attack

    def prepare(self, model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return ``x``, attacked, and ``y``."""
        return self.attack(model, x, y, generator), y
