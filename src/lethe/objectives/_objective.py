"""What an objective is."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn


class Objective(Protocol):
    """Makes a batch ready, once a step, and turns it into a loss, once a pass.

    The two are apart because a two-pass optimizer calls the loss twice on the same images: an attack belongs into
    :meth:`prepare`, where it is paid once.
    """

    def prepare(self, model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
        """Return the images to train on, (B, C, H, W) in [0, 1]."""
        ...

    def loss(self, model: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss, a scalar, and the logits (B, K), with ``x`` as :meth:`prepare` returned it."""
        ...
