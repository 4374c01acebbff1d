"""Which recipes there are."""

from __future__ import annotations

from lethe.recipes._anytime import AlmaRecipe, LureRecipe
from lethe.recipes._train import AMPRecipe, ATRecipe, FOMORecipe, SGDRecipe

TRAIN_RECIPES: dict[str, type[SGDRecipe]] = {r.name: r for r in (SGDRecipe, AMPRecipe, ATRecipe, FOMORecipe)}
ANYTIME_RECIPES: dict[str, type[AlmaRecipe]] = {r.name: r for r in (AlmaRecipe, LureRecipe)}
