"""Standard training."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Standard:
    """Cross-entropy on the images as they are. Cost: 3F a step."""

    ascent_loss: Callable[[nn.Module, Tensor, Tensor], Tensor] | None = None

    def prepare(self, model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return ``x`` and ``y``."""
        return x, y

    def loss(self, model: nn.Module, x: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean cross-entropy and the logits."""
        logits = model(x)
        return F.cross_entropy(logits, targets), logits
