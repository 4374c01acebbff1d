"""What LURE is measured against: other ways to act on a network between two megabatches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lethe._check import LetheError, non_negative, one_of
from lethe._check import fraction as check_fraction
from lethe.forget import (
    Forgotten,
    Selector,
    everything,
    from_layer,
    later_layers,
    llf_mask,
    named,
    random_mask,
    reinitialize,
    rifle_mask,
    shrink_and_perturb,
    weights,
)

EARLY_LAYERS = (
    "conv1.weight",
    *(f"layer{stage}.{block}.conv{i}.weight" for stage in (1, 2) for block in (0, 1) for i in (1, 2)),
)
"""What LURE's code leaves alone under LLF, by the names of a ResNet-18's parameters."""


@dataclass(frozen=True, kw_only=True)
class ForgettableConfig:
    """What may be forgotten."""

    everything: bool = False
    """Biases and normalisation too, not the convolutional and linear weights alone."""
    later_layers: float = 1.0
    """The last share of the convolutional and linear layers alone; 1: all of them."""
    forget_only: tuple[str, ...] = ()
    """Which parameters instead, by patterns of their full names: stages.2.* linear.weight (of small-resnet),
    network.layer4.* (of resnet18)."""

    def __post_init__(self) -> None:
        later_layers(self.later_layers)
        if (self.later_layers != 1.0) + self.everything + bool(self.forget_only) > 1:
            raise LetheError("everything, later_layers and forget_only each say what may be forgotten: give one.")

    @property
    def is_default(self) -> bool:
        """Whether all convolutional and linear weights may be forgotten, and nothing else."""
        return self == ForgettableConfig()

    def selector(self) -> Selector:
        """The parameters."""
        if self.forget_only:
            return named(*self.forget_only)
        if self.everything:
            return everything
        return weights if self.later_layers == 1.0 else later_layers(self.later_layers)


@dataclass(frozen=True, kw_only=True)
class RandomForgettingConfig:
    """Forget at random what LURE chooses by SNIP."""

    fraction: float = 0.2
    """Share of each tensor that is forgotten; LURE's: 0.2."""

    def __post_init__(self) -> None:
        check_fraction("fraction", self.fraction)

    def forget(
        self, model: nn.Module, select: Selector, optimizer: Optimizer | None, generator: torch.Generator
    ) -> Forgotten:
        """Re-draw a random share, and clear its momentum."""
        masks = random_mask(model, self.fraction, select=select, generator=generator)
        return reinitialize(model, masks, optimizer=optimizer, generator=generator)


@dataclass(frozen=True, kw_only=True)
class ShrinkPerturbConfig:
    """Shrink and perturb (Ash and Adams, NeurIPS 2020): every parameter becomes shrink · old + perturb · new.

    The authors' code builds a new network for the noise, so that batch norm's statistics begin anew. LURE's baseline
    draws U(±1/√fan_in) for every tensor, U(−1, 1) for batch norm's and biases, and leaves statistics and momentum.
    """

    shrink: float | None = None
    """What is left of the old weights; none: 0.4, the authors', or 0.3 with official."""
    perturb: float | None = None
    """How much of newly drawn ones is added; none: 0.1, the authors', or 0.001 with official."""
    official: bool = False
    """As LURE's code: noise from U(-1/sqrt(fan-in), 1/sqrt(fan-in)) for every tensor, U(-1,1) for vectors; batch norm's
    statistics are left, momentum is carried on."""

    def __post_init__(self) -> None:
        if self.shrink is not None:
            check_fraction("shrink", self.shrink)
        if self.perturb is not None:
            non_negative("perturb", self.perturb)

    def forget(
        self,
        model: nn.Module,
        optimizer: Optimizer | None,
        generator: torch.Generator,
        new: Mapping[str, Tensor] | None = None,
    ) -> Forgotten:
        """Shrink all weights and add new ones: a newly built network's, ``new``, or as the layers draw them."""
        shrink, perturb = (0.3, 0.001) if self.official else (0.4, 0.1)
        drawn = "layer" if new is None else "rewind"
        return shrink_and_perturb(
            model,
            shrink if self.shrink is None else self.shrink,
            perturb if self.perturb is None else self.perturb,
            optimizer=optimizer,
            generator=generator,
            init="kaiming" if self.official else drawn,
            initial=None if self.official else new,
            state="keep" if self.official else "clear",
            statistics="leave" if self.official else "reset",
        )


@dataclass(frozen=True, kw_only=True)
class LLFConfig:
    """Later-layer forgetting (Zhou et al., ICLR 2022)."""

    later_layers: float = 0.5
    """The last share of the convolutional and linear layers, whose weights are forgotten wholly."""
    from_layer: str | None = None
    """Instead every parameter from the first whose name contains this: layer4, the authors' for ResNet-18."""
    official: bool = False
    """As LURE's code: layer3, layer4 and the head of a ResNet-18, without shortcuts, biases and batch norm; momentum
    is carried on."""

    def __post_init__(self) -> None:
        later_layers(self.later_layers)
        if (self.later_layers != LLFConfig.later_layers) + (self.from_layer is not None) + self.official > 1:
            raise LetheError("later_layers, from_layer and official each say what is forgotten: give one.")

    def forget(self, model: nn.Module, optimizer: Optimizer | None, generator: torch.Generator) -> Forgotten:
        """Re-draw the later layers.

        Raises:
            LetheError: no such layer, or with ``official`` another network than a ResNet-18.
        """
        if self.official:
            masks = llf_mask(model, select=OFFICIAL_LATER_LAYERS)
            return reinitialize(model, masks, generator=generator, init="kaiming", state="keep")
        select = later_layers(self.later_layers) if self.from_layer is None else from_layer(self.from_layer)
        return reinitialize(model, llf_mask(model, select=select), optimizer=optimizer, generator=generator)


def _off_the_official_list(network: nn.Module) -> list[str]:
    names = [n for n, _ in network.named_parameters() if "weight" in n]
    names = [name for name in names if "bn" not in name and "downsample" not in name]
    early = {name for name in names if name.removeprefix("network.") in EARLY_LAYERS}
    blocks = [name for name in names if ".0.conv3." in name]
    if len(early) < len(EARLY_LAYERS) or blocks:
        raise LetheError("the published list of later layers is a ResNet-18's: take it, or --later-layers.")
    return [name for name in names if name not in early]


OFFICIAL_LATER_LAYERS = Selector("OFFICIAL_LATER_LAYERS", _off_the_official_list)
"""What LURE's code forgets under LLF: weights that are not on its list, shortcuts and batch norm left out.

Its list is that of a ResNet-18. Another network lacks some of the names, and would forget nearly everything without a
word: here this is an error.
"""


@dataclass(frozen=True, kw_only=True)
class ScratchConfig:
    """With which weights each megabatch begins."""

    scratch_weights: str = "drawn"
    """drawn: new ones for each megabatch; same: those that the run began with."""
    official: bool = False
    """As LURE's code with --use_randinit: the weights that the run began with, and the momentum of the megabatch
    before."""

    def __post_init__(self) -> None:
        one_of("scratch_weights", self.scratch_weights, ("drawn", "same"))

    @property
    def draws(self) -> bool:
        """Whether the weights are new ones."""
        return self.scratch_weights == "drawn" and not self.official


def forget_last_layer(model: nn.Module, optimizer: Optimizer | None, generator: torch.Generator) -> Forgotten:
    """RIFLE (Li et al., ICML 2020; from memory, unverified): re-draw the last layer, and clear its momentum.

    RIFLE does so several times while it fine-tunes, each with a new cycle of the learning rate; on a stream the
    megabatches are the cycles. In LURE's code it does nothing, since it looks for a layer called ``linear`` and all its
    networks call theirs ``fc`` or ``classifier``.
    """
    return reinitialize(model, rifle_mask(model), optimizer=optimizer, generator=generator)
