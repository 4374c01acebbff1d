"""LURE: between megabatches, forget the weights that matter least and relearn them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lethe._check import at_least
from lethe._check import fraction as check_fraction
from lethe.forget import Forgotten, Select, reinitialize, snip_mask


class LURE:
    """Learn, unlearn and relearn (Ramkumar, Arani and Zonooz, TMLR 2023, arXiv 2303.10455).

    Before each megabatch but the first, the ``fraction`` of the weights with the least SNIP saliency is re-drawn;
    training then goes on from there. Without the forgetting, this is warm start (ALMA).

    Args:
        fraction: share to forget, in [0, 1]. The paper's runs: 0.2.
        select: which parameters are ranked and re-drawn; default: convolutional and linear weights.
        generator: source of the new weights; None is torch's global one.

    Where the official code and Lethe differ:
        The code ranks biases and normalisation too, re-draws batch norm weights from U(−1, 1), keeps the momentum,
        and measures saliency on the first 100 images of the first megabatch, augmented. Here only convolutional and
        linear weights are ranked and re-drawn, the momentum of what is forgotten is cleared, and the caller says
        on which images saliency is measured.
    """

    def __init__(
        self, fraction: float = 0.2, *, select: Select = None, generator: torch.Generator | None = None
    ) -> None:
        self.fraction = check_fraction("fraction", fraction)
        self.select, self.generator = select, generator

    def forget(
        self,
        model: nn.Module,
        batches: Iterable[tuple[Tensor, Tensor]],
        *,
        optimizer: Optimizer | None = None,
    ) -> Forgotten:
        """Forget, between two megabatches.

        Args:
            model: the network, trained on what came before.
            batches: images (B, C, H, W) in [0, 1] and labels (B,) that saliency is measured on.
            optimizer: its state of what is forgotten is cleared.
        """
        masks = snip_mask(model, batches, self.fraction, select=self.select)
        return reinitialize(model, masks, optimizer=optimizer, generator=self.generator)


@dataclass(frozen=True, kw_only=True)
class LUREConfig:
    """LURE's own options."""

    fraction: float = 0.2
    """Share of the convolutional and linear weights that is forgotten: those that matter least by SNIP."""
    snip_images: int = 128
    """How many images of the new megabatch the saliency is measured on."""

    def __post_init__(self) -> None:
        check_fraction("fraction", self.fraction)
        at_least("snip_images", self.snip_images, 1)
