"""Whole runs as typed configs: a recipe per method, each the sum of its parts' options."""

from lethe.recipes._adversarial import ATRecipe, AWPRecipe, FOMORecipe, MARTRecipe, RWPRecipe, TRADESRecipe
from lethe.recipes._base import Recipe
from lethe.recipes._evaluate import EvaluateConfig
from lethe.recipes._file import load_recipe, with_defaults
from lethe.recipes._learners import (
    AlmaRecipe,
    LLFRecipe,
    LureRecipe,
    RandomForgettingRecipe,
    RIFLERecipe,
    ScratchRecipe,
    ShrinkPerturbRecipe,
)
from lethe.recipes._load_model import load_model
from lethe.recipes._perturbed import AMPRecipe, RMPRecipe, SAMRecipe
from lethe.recipes._published import published
from lethe.recipes._registry import ALL_RECIPES, ANYTIME_RECIPES, TRAIN_RECIPES
from lethe.recipes._regularised import (
    DropoutRecipe,
    FloodingRecipe,
    InputATRecipe,
    LabelSmoothingRecipe,
    MixUpRecipe,
)
from lethe.recipes._remedies import ATAMPRecipe, ATEMARecipe, ATSWARecipe, KDSWARecipe
from lethe.recipes._standard import SGDRecipe
from lethe.recipes._stream import StreamConfig

__all__ = [
    "ALL_RECIPES",
    "ANYTIME_RECIPES",
    "TRAIN_RECIPES",
    "AMPRecipe",
    "ATAMPRecipe",
    "ATEMARecipe",
    "ATRecipe",
    "ATSWARecipe",
    "AWPRecipe",
    "AlmaRecipe",
    "DropoutRecipe",
    "EvaluateConfig",
    "FOMORecipe",
    "FloodingRecipe",
    "InputATRecipe",
    "KDSWARecipe",
    "LLFRecipe",
    "LabelSmoothingRecipe",
    "LureRecipe",
    "MARTRecipe",
    "MixUpRecipe",
    "RIFLERecipe",
    "RMPRecipe",
    "RWPRecipe",
    "RandomForgettingRecipe",
    "Recipe",
    "SAMRecipe",
    "SGDRecipe",
    "ScratchRecipe",
    "ShrinkPerturbRecipe",
    "StreamConfig",
    "TRADESRecipe",
    "load_model",
    "load_recipe",
    "published",
    "with_defaults",
]
