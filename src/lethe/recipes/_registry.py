"""Which recipes there are."""

from __future__ import annotations

from lethe.recipes._adversarial import ATRecipe, AWPRecipe, FOMORecipe, MARTRecipe, RWPRecipe, TRADESRecipe
from lethe.recipes._anytime import AlmaRecipe, LureRecipe
from lethe.recipes._base import Recipe
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
TRAIN_RECIPES: dict[str, type[SGDRecipe]] = {recipe.name: recipe for recipe in _TRAIN}
ANYTIME_RECIPES: dict[str, type[AlmaRecipe]] = {recipe.name: recipe for recipe in (AlmaRecipe, LureRecipe)}
ALL_RECIPES: dict[str, type[Recipe]] = {**TRAIN_RECIPES, **ANYTIME_RECIPES}
