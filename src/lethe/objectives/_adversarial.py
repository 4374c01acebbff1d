"""Adversarial training: on attacked images alone (PGD-AT), or on both (TRADES, MART)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from lethe._check import non_negative
from lethe._rows import Source
from lethe.attacks import PGD
from lethe.objectives._objective import Batch
from lethe.objectives._standard import Standard


class PGDAT(Standard):
    """PGD adversarial training (Madry et al., ICLR 2018): cross-entropy on attacked images. Cost: (2K+3)F a step."""

    def __init__(self, attack: PGD) -> None:
        self.attack = attack

    def prepare(self, model: nn.Module, x: Tensor, y: Tensor, generator: Source) -> Batch:
        """Return the images, attacked."""
        return Batch(self.attack(model, x, y, generator), y, x)


class TRADES(PGDAT):
    """``CE(clean) + beta · KL(p_clean ‖ p_attacked)`` (Zhang et al., ICML 2019). Cost: (2K+7)F a step.

    Args:
        attack: with ``loss="kl"``, started beside the image: ``initial="normal"``, as the authors' code.
        beta: weight of the divergence, at least 0; the paper: 6.

    Where the authors' code and Lethe differ:
        The code runs the clean images again in each step of the attack and twice in the loss, the latter moving batch
        norm's statistics twice; here once for the attack and once for the loss. The gradient flows into both sides of
        the divergence, as in the code.
    """

    def __init__(self, attack: PGD, beta: float) -> None:
        super().__init__(attack)
        self.beta = non_negative("beta", beta)

    def loss(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the loss, and the logits of the attacked images."""
        clean, attacked = model(batch.clean), model(batch.images)
        divergence = F.kl_div(attacked.log_softmax(1), clean.log_softmax(1), reduction="batchmean", log_target=True)
        return F.cross_entropy(clean, batch.targets) + self.beta * divergence, attacked


class MART(PGDAT):
    """Misclassification-aware adversarial training (Wang et al., ICLR 2020). Cost: (2K+6)F a step.

    ``BCE(attacked) + beta · mean[KL(p_clean ‖ p_attacked) · (1 - p_clean(y))]``, where BCE is the cross-entropy plus
    ``-log(1 - p_attacked(best wrong class))``.

    Args:
        attack: PGD with cross-entropy; the authors' code starts beside the image: ``initial="normal"``.
        beta: weight of the divergence, at least 0; the paper: 5 (ResNet-18), 6 (WRN-34-10).

    Where the authors' code and Lethe differ: the values are its, its small constants (1e-12 within logarithms, 1.0001
    and 1.0000001 for 1) included.
    """

    def __init__(self, attack: PGD, beta: float) -> None:
        super().__init__(attack)
        self.beta = non_negative("beta", beta)

    def loss(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the loss, and the logits of the attacked images."""
        y = batch.targets[:, None]
        logits = model(batch.images)
        p_clean, p = model(batch.clean).softmax(1), logits.softmax(1)
        best_wrong = p.scatter(1, y, -1.0).amax(1)
        boosted = F.cross_entropy(logits, batch.targets) - (1.0001 - best_wrong + 1e-12).log().mean()
        divergence = F.kl_div((p + 1e-12).log(), p_clean, reduction="none").sum(1)
        hard = 1.0000001 - p_clean.gather(1, y).squeeze(1)
        return boosted + self.beta * (divergence * hard).mean(), logits
