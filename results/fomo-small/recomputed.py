"""recomputed.py RUN DATA_DIR: a run's last average on validation images, and with batch statistics measured anew."""

import sys
from dataclasses import replace
from pathlib import Path

from lethe.consolidate import recompute_statistics
from lethe.data import batches, load
from lethe.evaluate import accuracy
from lethe.recipes import TRAIN_RECIPES, load_model, load_recipe

run, data_dir = sys.argv[1:]
recipe = load_recipe(Path(run), TRAIN_RECIPES)
splits, attack = load(replace(recipe.data, data_dir=data_dir)), recipe.evaluation_attack()
model = load_model(run, "last-stable", data_dir=data_dir)
for name in ("averaged", "measured anew"):
    if name == "measured anew":
        recompute_statistics(model, (x for x, _ in batches(splits.train, 256)))
    clean, robust = (100 * accuracy(model, splits.validation, attack=a) for a in (None, attack))
    print(f"{name}: clean {clean:.1f}, robust {robust:.1f}")
