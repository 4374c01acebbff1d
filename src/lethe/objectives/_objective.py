"""What an objective is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn


class Objective(Protocol):
    """Makes a batch ready, once a step, and turns it into a loss, once a pass.

    The two are apart because a two-pass optimizer calls the loss twice on the same images: an attack, or the draws of
    a mixture, belong into :meth:`prepare`, where they are paid once and stay the same in both passes.
    """

    @property
    def ascent_loss(self) -> Callable[[nn.Module, Tensor, Tensor], Tensor] | None:
        """From network, images and targets to the loss that only finds a perturbation; None: :meth:`loss` does."""
        ...

    def prepare(self, model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return the images to train on, (B, C, H, W) in [0, 1], and their targets: classes (B,) or shares (B, K)."""
        ...

    def loss(self, model: nn.Module, x: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss, a scalar, and the logits (B, K), on what :meth:`prepare` returned."""
        ...
