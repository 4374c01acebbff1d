"""RWP's ascent: only samples with a small loss say where the weights are pushed."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from lethe._check import non_negative
from lethe.attacks import PGD
from lethe.objectives._adversarial import PGDAT
from lethe.objectives._objective import Batch


class SmallLossPGDAT(PGDAT):
    """Adversarial training whose ascent loss keeps the samples under a threshold (RWP: Yu et al., IJCAI 2022).

    The ascent loss is the sum of the kept losses over the *whole* batch's size, as the official code has it, so fewer
    kept samples make a shorter ascent gradient.

    Args:
        attack: of the training images.
        threshold: of the loss, in nats; the code: 1.7 on CIFAR-10 and SVHN, 4.0 on CIFAR-100.
    """

    def __init__(self, attack: PGD, threshold: float) -> None:
        super().__init__(attack)
        self.threshold = non_negative("threshold", threshold)

    def ascent_loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Return the batch's mean of the losses under the threshold, the others counted as 0."""
        losses = F.cross_entropy(model(batch.images), batch.targets, reduction="none")
        return (losses * (losses.detach() < self.threshold)).mean()
