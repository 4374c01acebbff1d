"""The learners of `lethe anytime`: each is what it does between two megabatches."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import ClassVar

import torch

from lethe._check import LetheError
from lethe.data import ImageSet, batches
from lethe.forget import Forgotten, everything, whole_mask
from lethe.forget._optimizer_state import forget_state
from lethe.methods import (
    LURE,
    ForgettableConfig,
    LLFConfig,
    LUREConfig,
    RandomForgettingConfig,
    ScratchConfig,
    ShrinkPerturbConfig,
    forget_last_layer,
)
from lethe.methods._lure import OFFICIAL_IMAGES
from lethe.recipes._anytime import AnytimeRecipe
from lethe.recipes._between import Between


@dataclass(frozen=True, kw_only=True)
class AlmaRecipe(AnytimeRecipe):
    """Warm start (ALMA): go on from the model of the megabatch before."""

    name: ClassVar[str] = "alma"
    source: ClassVar[str] = "Caccia et al., arXiv 2106.09563; the baseline of LURE's code"
    cost: ClassVar[str] = "3F; with full replay of T megabatches (T + 1)/2 times the images"

    def between(self, at: Between) -> None:
        """Nothing is done."""


@dataclass(frozen=True, kw_only=True)
class LureRecipe(AnytimeRecipe):
    """LURE: before each new megabatch, forget the weights that matter least by SNIP, and relearn."""

    name: ClassVar[str] = "lure"
    source: ClassVar[str] = "Ramkumar, Arani and Zonooz, TMLR 2023"
    cost: ClassVar[str] = "as alma, and a few batches of 3F before each megabatch"

    lure: LUREConfig = field(default_factory=LUREConfig)
    forgettable: ForgettableConfig = field(default_factory=ForgettableConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.official and not self.forgettable.is_default:
            raise LetheError("official says by itself what may be forgotten: leave what says so out.")

    @property
    def official(self) -> bool:
        """Whether all is as published."""
        return self.lure.official

    def images_seen(self, new: int, train: int) -> int:
        """Those that saliency is measured on."""
        return self.lure.images_seen(new, train)

    def between(self, at: Between) -> Forgotten:
        """Forget the least salient weights."""
        o = self.lure
        if o.official:
            seen = self._officially_first(at)
            # One batch in the set's own order, augmented as training images are.
            order = torch.arange(len(seen))
            found = batches(seen, OFFICIAL_IMAGES, shuffle=at.generator, augment=self.data.augmentation(), order=order)
            lure = LURE(o.share, generator=at.generator, official=True)
            return lure.forget(at.model, islice(found, 1), optimizer=at.optimizer)
        if o.snip_on == "replayed":
            seen = at.train.subset(torch.randperm(len(at.train), generator=at.generator)[: o.snip_images])
        else:
            seen = at.new.subset(list(range(min(o.snip_images, len(at.new)))))
        select = self.forgettable.selector()
        lure = LURE(o.share, select=select, generator=at.generator, ties=o.ties, count=o.count)
        return lure.forget(at.model, batches(seen, self.schedule.batch_size), optimizer=at.optimizer)

    def _officially_first(self, at: Between) -> ImageSet:
        """The first images of the training set as LURE's code lists it.

        With full replay, or that of the megabatch before, the oldest come first; with a buffer, or with -snip_no_replay
        of that code, the new ones.
        """
        new, train = len(at.new), len(at.train)
        oldest_first = self.stream.replay in ("full", "previous") and self.lure.snip_on != "current"
        replayed = list(range(new, train)) if oldest_first else []
        listed = [*replayed, *range(new)]
        return at.train.subset(listed[: self.images_seen(new, train)])


@dataclass(frozen=True, kw_only=True)
class ScratchRecipe(AnytimeRecipe):
    """From scratch: train a new network on each megabatch and what is replayed; dear, and what the others aim at."""

    name: ClassVar[str] = "scratch"
    source: ClassVar[str] = "baseline; --use_randinit of LURE's code"
    cost: ClassVar[str] = "3F; with full replay of T megabatches (T + 1)/2 times the images"

    scratch: ScratchConfig = field(default_factory=ScratchConfig)

    @property
    def official(self) -> bool:
        """Whether all is as published."""
        return self.scratch.official

    def between(self, at: Between) -> str:
        """Put new weights, and batch statistics, in place of all; their momentum is cleared, but as published kept."""
        seed = self.run.seed
        if self.scratch.draws:
            seed = int(torch.randint(2**62, (), generator=at.generator))
        at.model.load_state_dict(at.fresh(seed).state_dict())
        if not self.official:
            masks = whole_mask(at.model, select=everything)
            for name, parameter in at.model.named_parameters():
                forget_state(at.optimizer, parameter, masks[name], "clear")
        return "began anew, with drawn weights" if self.scratch.draws else "began anew, with the initial weights"


@dataclass(frozen=True, kw_only=True)
class ShrinkPerturbRecipe(AnytimeRecipe):
    """Shrink and perturb: before each new megabatch, forget all weights softly."""

    name: ClassVar[str] = "shrink-perturb"
    source: ClassVar[str] = "Ash and Adams, NeurIPS 2020"
    cost: ClassVar[str] = "as alma"

    shrink_perturb: ShrinkPerturbConfig = field(default_factory=ShrinkPerturbConfig)

    @property
    def official(self) -> bool:
        """Whether all is as LURE's code has it."""
        return self.shrink_perturb.official

    def between(self, at: Between) -> Forgotten:
        """Shrink all weights and add those of a newly built network, or as published such as every layer is given."""
        if self.official:
            return self.shrink_perturb.forget(at.model, at.optimizer, at.generator)
        new = at.fresh(int(torch.randint(2**62, (), generator=at.generator))).state_dict()
        return self.shrink_perturb.forget(at.model, at.optimizer, at.generator, new)


@dataclass(frozen=True, kw_only=True)
class LLFRecipe(AnytimeRecipe):
    """Later-layer forgetting: before each new megabatch, re-draw the later layers."""

    name: ClassVar[str] = "llf"
    source: ClassVar[str] = "Zhou et al., ICLR 2022"
    cost: ClassVar[str] = "as alma"

    llf: LLFConfig = field(default_factory=LLFConfig)

    @property
    def official(self) -> bool:
        """Whether all is as LURE's code has it."""
        return self.llf.official

    def between(self, at: Between) -> Forgotten:
        """Re-draw the later layers."""
        return self.llf.forget(at.model, at.optimizer, at.generator)


@dataclass(frozen=True, kw_only=True)
class RIFLERecipe(AnytimeRecipe):
    """RIFLE: before each new megabatch, re-draw the last layer."""

    name: ClassVar[str] = "rifle"
    source: ClassVar[str] = "Li et al., ICML 2020 (from memory, unverified)"
    cost: ClassVar[str] = "as alma"

    def between(self, at: Between) -> Forgotten:
        """Re-draw the last layer."""
        return forget_last_layer(at.model, at.optimizer, at.generator)


@dataclass(frozen=True, kw_only=True)
class RandomForgettingRecipe(AnytimeRecipe):
    """Random forgetting, FOMO's criterion: as lure, but chance chooses what is forgotten."""

    name: ClassVar[str] = "random-forgetting"
    source: ClassVar[str] = "Ramkumar, Zonooz and Arani, ICLR 2024, the criterion alone"
    cost: ClassVar[str] = "as alma"

    random: RandomForgettingConfig = field(default_factory=RandomForgettingConfig)
    forgettable: ForgettableConfig = field(default_factory=ForgettableConfig)

    def between(self, at: Between) -> Forgotten:
        """Re-draw a random share."""
        return self.random.forget(at.model, self.forgettable.selector(), at.optimizer, at.generator)
