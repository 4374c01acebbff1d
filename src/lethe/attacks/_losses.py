"""What an attack raises: one value for each image of the batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch.nn.functional as F
from torch import Tensor

AttackLoss: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""From logits (B, K) and labels (B,) to a loss for each image (B,)."""


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy of each image."""
    return F.cross_entropy(logits, y, reduction="none")


def margin(logits: Tensor, y: Tensor) -> Tensor:
    """How far the best wrong class is above the right one (Carlini and Wagner's loss, without a bound)."""
    right = logits.gather(1, y[:, None]).squeeze(1)
    wrong = logits.scatter(1, y[:, None], float("-inf")).amax(1)
    return wrong - right


LOSSES: dict[str, AttackLoss] = {"ce": cross_entropy, "margin": margin}
