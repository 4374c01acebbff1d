"""LURE: between megabatches, forget the weights that matter least and relearn them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lethe._check import LetheError, at_least, one_of
from lethe._check import fraction as check_fraction
from lethe.forget import Forgotten, Select, everything, reinitialize, snip_mask
from lethe.forget._ranking import COUNTS, TIES

SNIP_ON = ("current", "replayed")
OFFICIAL_IMAGES = 100
"""The official code takes 128 images, in batches of 100, and stops after the first."""


class LURE:
    """Learn, unlearn and relearn (Ramkumar, Arani and Zonooz, TMLR 2023, arXiv 2303.10455).

    Before each megabatch but the first, the ``fraction`` of the weights with the least SNIP saliency is re-drawn;
    training then goes on from there. Without the forgetting, this is warm start (ALMA).

    Args:
        fraction: share to forget, in [0, 1]. The published command: 0.2.
        select: which parameters are ranked and re-drawn; default: convolutional and linear weights.
        generator: source of the new weights; None is torch's global one.
        ties: of weights that equal the threshold ``"all"`` go, as published, or the ``"first"``, so many that the
            share is exact.
        count: the share is that of all selected weights in one ranking (``"overall"``), as published, or that of
            each tensor, ranked by itself (``"per-tensor"``).
        official: forget as the published code (``NeurAI-Lab/LURE``) does, see below; goes with no ``select`` and with
            ``ties="all"`` and ``count="overall"``.

    Where the official code and Lethe differ:
        The code ranks *all* parameters together, biases and normalisation too, and forgets those whose name contains
        ``weight``, batch norm's among them; biases are ranked and never re-drawn. It draws U(±1/√fan_in), which is
        torch's own for convolutional and linear layers, but for batch norm means U(−1, 1), not 1. It keeps the
        momentum of what is forgotten and measures saliency on the first 100 images of its training set, augmented.
        With ``official`` this class does so, but for the images, which the caller gives. Without, only convolutional
        and linear weights are ranked and re-drawn, each by its layer's own initialiser, and their momentum is cleared.
        Where ``int(fraction · N)`` is 0, the code raises; here nothing is forgotten.
    """

    def __init__(
        self,
        fraction: float = 0.2,
        *,
        select: Select = None,
        generator: torch.Generator | None = None,
        ties: str = "all",
        count: str = "overall",
        official: bool = False,
    ) -> None:
        self.fraction = check_fraction("fraction", fraction)
        self.ties = one_of("ties", ties, TIES)
        self.count = one_of("count", count, COUNTS)
        if official and (select is not None or (ties, count) != ("all", "overall")):
            raise LetheError(
                "official ranks every parameter together and forgets all ties: leave select, ties and count out."
            )
        self.select, self.generator, self.official = select, generator, official

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
            optimizer: its state of what is forgotten is cleared, or kept with ``official``.
        """
        select = everything if self.official else self.select
        masks = snip_mask(model, batches, self.fraction, select=select, count=self.count, ties=self.ties)
        if not self.official:
            return reinitialize(model, masks, optimizer=optimizer, generator=self.generator)
        named_weight = {name: mask for name, mask in masks.items() if "weight" in name}
        return reinitialize(model, named_weight, generator=self.generator, init="kaiming", state="keep")


@dataclass(frozen=True, kw_only=True)
class LUREConfig:
    """LURE's own options."""

    fraction: float = 0.2
    """Share of the weights that may be forgotten which is: those that matter least by SNIP."""
    keep: float | None = None
    """The same from the other side: the share that is kept; none: fraction says it."""
    snip_images: int = 128
    """How many images the saliency is measured on."""
    snip_on: str | None = None
    """Which: the first of the new megabatch (current), or drawn from all that is trained on, the replayed among it
    (replayed); none: current, or with official the first of the training set as the published code lists it."""
    ties: str = "all"
    """Of weights that equal the threshold all go, as published, or the first, which makes the share exact."""
    count: str = "overall"
    """The share is that of all weights in one ranking (overall), as published, or of each tensor (per-tensor)."""
    official: bool = False
    """Forget as the published code does: all parameters in one ranking, saliency on the first 100 images of the
    training set (under full replay those of megabatch 1), augmented; only what is named weight is re-drawn, batch
    norm's by U(-1,1); momentum is carried on, the learning rate begins anew."""

    def __post_init__(self) -> None:
        check_fraction("fraction", self.fraction)
        if self.keep is not None:
            check_fraction("keep", self.keep)
            if self.fraction != LUREConfig.fraction:
                raise LetheError("keep and fraction say the same from two sides: leave one out.")
        at_least("snip_images", self.snip_images, 1)
        if self.snip_on is not None:
            one_of("snip_on", self.snip_on, SNIP_ON)
        one_of("ties", self.ties, TIES)
        one_of("count", self.count, COUNTS)
        fixed = (self.snip_images, self.snip_on == "replayed", self.ties, self.count)
        if self.official and fixed != (LUREConfig.snip_images, False, LUREConfig.ties, LUREConfig.count):
            raise LetheError(
                "official looks at 100 images, in one ranking, and forgets all ties: leave snip_images, ties and count "
                "out, and snip_on, or set it to current (-snip_no_replay of the published code)."
            )

    @property
    def share(self) -> float:
        """The share that is forgotten, whichever option says it."""
        return self.fraction if self.keep is None else 1.0 - self.keep

    def images_seen(self, new: int, train: int) -> int:
        """How many of so many new and so many training images the saliency is measured on."""
        if self.official:
            return min(OFFICIAL_IMAGES, new if self.snip_on == "current" else train)
        return min(self.snip_images, train if self.snip_on == "replayed" else new)
