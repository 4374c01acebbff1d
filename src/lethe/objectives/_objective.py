"""What an objective is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

from lethe._rows import Source


@dataclass(frozen=True)
class Batch:
    """A batch that is ready to be trained on.

    Attributes:
        images: what the network is trained on, attacked or mixed or as they were, (B, C, H, W) in [0, 1].
        targets: classes (B,), or their shares (B, K).
        clean: the images as they came.
    """

    images: Tensor
    targets: Tensor
    clean: Tensor


class Objective(Protocol):
    """Makes a batch ready, once a step, and turns it into a loss, once a pass.

    The two are apart because a two-pass optimizer calls the loss twice on the same images: an attack, or the draws of
    a mixture, belong into :meth:`prepare`, where they are paid once and stay the same in both passes.
    """

    @property
    def ascent_loss(self) -> Callable[[nn.Module, Batch], Tensor] | None:
        """From network and batch to the loss that only finds a perturbation; None: :meth:`loss` does."""
        ...

    @property
    def whole_batch(self) -> bool:
        """Whether the batch must be prepared, and its loss taken, as a whole; else the loss is a mean over images."""
        ...

    def prepare(self, model: nn.Module, x: Tensor, y: Tensor, generator: Source) -> Batch:
        """Return the batch, of images (B, C, H, W) in [0, 1] and classes (B,), as it is to be trained on."""
        ...

    def loss(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the loss, a scalar, and the logits of ``batch.images``, (B, K)."""
        ...
