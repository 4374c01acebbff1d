"""What an attack raises: one value for each image of the batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from lethe._check import LetheError


@dataclass(frozen=True)
class AttackLoss:
    """A loss of an attack.

    Attributes:
        value: from logits (B, K) and a target to a loss for each image, (B,).
        of_clean: the target is the network's log-probabilities (B, K) of the clean images, computed once; else it is
            the labels (B,).
    """

    value: Callable[[Tensor, Tensor], Tensor]
    of_clean: bool = False


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy of each image."""
    return F.cross_entropy(logits, y, reduction="none")


def margin(logits: Tensor, y: Tensor) -> Tensor:
    """How far the best wrong class is above the right one (Carlini and Wagner's loss, without a bound)."""
    right = logits.gather(1, y[:, None]).squeeze(1)
    wrong = logits.scatter(1, y[:, None], float("-inf")).amax(1)
    return wrong - right


def difference_of_logits_ratio(logits: Tensor, y: Tensor) -> Tensor:
    """The margin over the difference of first and third logit (Croce and Hein, ICML 2020, equation 6).

    It does not change when all logits are shifted or scaled, so a saturated network does not hide its gradient.
    """
    if logits.shape[1] < 3:
        raise LetheError(f"the DLR loss needs at least 3 classes, got {logits.shape[1]}: use ce or margin.")
    largest = logits.topk(3, dim=1).values
    return margin(logits, y) / (largest[:, 0] - largest[:, 2] + 1e-12)


def divergence_from_clean(logits: Tensor, clean_log_p: Tensor) -> Tensor:
    """``KL(p_clean ‖ p)`` of each image (TRADES). Its gradient is 0 at the clean image: start beside it."""
    return F.kl_div(logits.log_softmax(1), clean_log_p, reduction="none", log_target=True).sum(1)


LOSSES: dict[str, AttackLoss] = {
    "ce": AttackLoss(cross_entropy),
    "margin": AttackLoss(margin),
    "dlr": AttackLoss(difference_of_logits_ratio),
    "kl": AttackLoss(divergence_from_clean, of_clean=True),
}
