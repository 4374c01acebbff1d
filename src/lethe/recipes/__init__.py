"""Whole runs as typed configs: a recipe per method, each the sum of its parts' options."""

from lethe.recipes._anytime import AlmaRecipe, LureRecipe, StreamConfig
from lethe.recipes._base import Recipe
from lethe.recipes._file import load_recipe
from lethe.recipes._load_model import load_model
from lethe.recipes._registry import ANYTIME_RECIPES, TRAIN_RECIPES
from lethe.recipes._train import AMPRecipe, ATRecipe, FOMORecipe, SGDRecipe

__all__ = [
    "ANYTIME_RECIPES",
    "TRAIN_RECIPES",
    "AMPRecipe",
    "ATRecipe",
    "AlmaRecipe",
    "FOMORecipe",
    "LureRecipe",
    "Recipe",
    "SGDRecipe",
    "StreamConfig",
    "load_model",
    "load_recipe",
]
