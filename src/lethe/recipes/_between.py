"""What a learner can act on between two megabatches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.optim import Optimizer

from lethe.data import ImageSet
from lethe.engine import Training


@dataclass(frozen=True)
class Between:
    """The moment before a megabatch is trained on that is not the first.

    Attributes:
        training: what will train on it; its network has the best weights of the megabatch before, its optimizer what
            is carried over from there.
        new: the training images that arrived.
        train: all that is trained on: the new ones, then the replayed.
        generator: the run's stream for what a method draws.
        fresh: makes the network as it is born from a seed; the run's own seed gives the run's initial weights.
    """

    training: Training
    new: ImageSet
    train: ImageSet
    generator: torch.Generator
    fresh: Callable[[int], nn.Module]

    @property
    def model(self) -> nn.Module:
        """The network."""
        return self.training.model

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer."""
        return self.training.optimizer
