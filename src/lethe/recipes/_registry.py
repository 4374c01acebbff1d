"""Which recipes there are."""

from __future__ import annotations

from lethe.recipes._adversarial import ATRecipe, AWPRecipe, FOMORecipe, MARTRecipe, RWPRecipe, TRADESRecipe
from lethe.recipes._anytime import AnytimeRecipe
from lethe.recipes._base import Recipe
from lethe.recipes._learners import (
    AlmaRecipe,
    LLFRecipe,
    LureRecipe,
    RandomForgettingRecipe,
    RIFLERecipe,
    ScratchRecipe,
    ShrinkPerturbRecipe,
)
from lethe.recipes._perturbed import AMPRecipe, RMPRecipe, SAMRecipe
from lethe.recipes._regularised import (
    DropoutRecipe,
    FloodingRecipe,
    InputATRecipe,
    LabelSmoothingRecipe,
    MixUpRecipe,
)
from lethe.recipes._remedies import ATAMPRecipe, ATEMARecipe, ATSWARecipe, KDSWARecipe
from lethe.recipes._standard import SGDRecipe

_TRAIN: tuple[type[SGDRecipe], ...] = (
    SGDRecipe,
    AMPRecipe,
    SAMRecipe,
    RMPRecipe,
    DropoutRecipe,
    LabelSmoothingRecipe,
    FloodingRecipe,
    MixUpRecipe,
    InputATRecipe,
    ATRecipe,
    TRADESRecipe,
    MARTRecipe,
    FOMORecipe,
    AWPRecipe,
    RWPRecipe,
    ATAMPRecipe,
    ATEMARecipe,
    ATSWARecipe,
    KDSWARecipe,
)
_ANYTIME: tuple[type[AnytimeRecipe], ...] = (
    AlmaRecipe,
    LureRecipe,
    ScratchRecipe,
    ShrinkPerturbRecipe,
    LLFRecipe,
    RIFLERecipe,
    RandomForgettingRecipe,
)
TRAIN_RECIPES: dict[str, type[SGDRecipe]] = {recipe.name: recipe for recipe in _TRAIN}
ANYTIME_RECIPES: dict[str, type[AnytimeRecipe]] = {recipe.name: recipe for recipe in _ANYTIME}
ALL_RECIPES: dict[str, type[Recipe]] = {**TRAIN_RECIPES, **ANYTIME_RECIPES}
