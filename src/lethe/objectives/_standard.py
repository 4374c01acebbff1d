"""Standard training."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from lethe._rows import Source
from lethe.objectives._objective import Batch


class Standard:
    """Cross-entropy on the images as they are. Cost: 3F a step."""

    ascent_loss: Callable[[nn.Module, Batch], Tensor] | None = None
    whole_batch = False

    def prepare(self, model: nn.Module, x: Tensor, y: Tensor, generator: Source) -> Batch:
        """Return images and classes as they are."""
        return Batch(x, y, x)

    def loss(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the mean cross-entropy and the logits."""
        logits = model(batch.images)
        return F.cross_entropy(logits, batch.targets), logits
