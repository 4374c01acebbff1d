"""The regularisers of the loss that AMP's paper compares itself with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lethe._check import LetheError, fraction, non_negative, positive
from lethe._rows import Source
from lethe.objectives._objective import Batch
from lethe.objectives._standard import Standard


class LabelSmoothing(Standard):
    """Cross-entropy against softened labels (Szegedy et al., CVPR 2016). Cost: 3F a step.

    Args:
        smoothing: probability that the labelled class gives away, in [0, 1]; AMP's paper: 0.2.

    Where codes differ: torch's ``label_smoothing`` spreads the share over all K classes, the labelled one among them;
    here, as in AMP's code, over the K - 1 others. Torch's is this one with ``smoothing · K / (K - 1)``.
    """

    def __init__(self, smoothing: float) -> None:
        self.smoothing = fraction("smoothing", smoothing)

    def loss(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the mean cross-entropy against the softened labels, and the logits."""
        logits = model(batch.images)
        log_p = logits.log_softmax(1)
        right = log_p.gather(1, batch.targets[:, None]).squeeze(1)
        wrong = (log_p.sum(1) - right) / (logits.shape[1] - 1)
        return -((1 - self.smoothing) * right + self.smoothing * wrong).mean(), logits


class Flooding(Standard):
    """``|L - level| + level``: a loss under the level is raised again (Ishida et al., ICML 2020). Cost: 3F a step.

    Args:
        level: of the batch's mean loss, in nats, at least 0; AMP's paper: 0.02.
    """

    whole_batch = True

    def __init__(self, level: float) -> None:
        self.level = non_negative("level", level)

    def loss(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the flooded loss, and the logits."""
        logits = model(batch.images)
        return (F.cross_entropy(logits, batch.targets) - self.level).abs() + self.level, logits


class MixUp(Standard):
    """Images and labels mixed in pairs (Zhang et al., ICLR 2018). Cost: 3F a step.

    Args:
        classes: number of classes K.
        alpha: of the Beta(alpha, alpha) that a pair's share is drawn from, above 0; AMP's paper: 1.

    Where codes differ: the authors' draws one share a batch; here, as in AMP's code, every image has its own.
    """

    whole_batch = True

    def __init__(self, classes: int, alpha: float) -> None:
        self.classes, self.alpha = classes, positive("mixup's alpha", alpha)

    def prepare(self, model: nn.Module, x: Tensor, y: Tensor, generator: Source) -> Batch:
        """Return the mixed images, and their targets as shares of the classes, (B, K)."""
        if not isinstance(generator, torch.Generator):
            raise LetheError("mixup pairs the images of a batch: it needs the whole batch and a generator of its own.")
        draw = generator.device
        seed = int(torch.randint(2**62, (), generator=generator, device=draw))
        shares = np.random.default_rng(seed).beta(self.alpha, self.alpha, len(x))
        share = torch.from_numpy(shares).to(x)
        partner = torch.randperm(len(x), generator=generator, device=draw).to(x.device)
        labels = F.one_hot(y, self.classes).to(x.dtype)
        of_image = share.view(-1, *[1] * (x.ndim - 1))
        mixed = torch.lerp(x[partner], x, of_image)
        return Batch(mixed, torch.lerp(labels[partner], labels, share[:, None]), x)


@dataclass(frozen=True, kw_only=True)
class LabelSmoothingConfig:
    """Label smoothing's own option."""

    smoothing: float = 0.2
    """Probability that the labelled class gives away to the others. AMP's paper: 0.2."""

    def __post_init__(self) -> None:
        fraction("smoothing", self.smoothing)


@dataclass(frozen=True, kw_only=True)
class FloodingConfig:
    """Flooding's own option."""

    flood_level: float = 0.02
    """The batch's mean loss is kept near this level. AMP's paper: 0.02."""

    def __post_init__(self) -> None:
        non_negative("flood_level", self.flood_level)


@dataclass(frozen=True, kw_only=True)
class MixUpConfig:
    """Mixup's own option."""

    mixup_alpha: float = 1.0
    """Of the Beta(alpha, alpha) that a pair's share is drawn from. AMP's paper: 1, uniform."""

    def __post_init__(self) -> None:
        MixUp(2, self.mixup_alpha)
