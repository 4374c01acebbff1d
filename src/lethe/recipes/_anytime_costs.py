"""What a stream costs, counted before it begins, and what else is said of each megabatch that was learnt."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from lethe.anytime import generalisation_gap, learning_speed
from lethe.data import Splits, batches
from lethe.engine import flops, generators, step_flops
from lethe.evaluate import calibration_error
from lethe.recipes._between import Between
from lethe.recipes._standard import try_out

if TYPE_CHECKING:
    from lethe.recipes._anytime import AnytimeRecipe


@dataclass(frozen=True)
class Costs:
    """Floating-point operations for one image: of a training step, and of looking at it before a forgetting."""

    step: float
    look: float


def costs_of(recipe: AnytimeRecipe, model: nn.Module, splits: Splits) -> Costs:
    """Forget and step once with a copy, before anything is written: what cannot be done is told now.

    Raises:
        LetheError: the network cannot take the images, or what shall be forgotten is not there.
    """
    two = splits.test.subset([0, len(splits.test) - 1])
    try_out(model, two)
    on = two.labels.device
    with torch.random.fork_rng(devices=[on] if on.type == "cuda" else []):
        streams = generators(recipe.run.seed)
        training = recipe.starts(streams)(copy.deepcopy(model), len(two), 0)
        at = Between(training, two, two, streams["method"], recipe.newborn(splits))
        looking = flops(lambda: recipe.between(at))
        seen = recipe.images_seen(len(two), len(two))
        return Costs(step_flops(training, *next(batches(two, 2))), looking / seen if seen else 0.0)


def described(
    recipe: AnytimeRecipe,
    model: nn.Module,
    epochs: list[dict[str, Any]],
    closing: dict[str, Any],
    splits: Splits,
    costs: Costs,
) -> dict[str, Any]:
    """What else is said of a learnt megabatch, as :meth:`AnytimeRecipe.execute` lists it."""
    metric = "validation/robust" if recipe.learning.adversarial else "validation/clean"
    best = epochs[closing["best_epoch"] - 1]
    seen = recipe.images_seen(closing["new_images"], closing["train_images"]) if closing["megabatch"] > 1 else 0
    forgetting = round(costs.look * seen)
    return {
        "test/ece": calibration_error(model, splits.test),
        "test_images": len(splits.test),
        "flops": round(costs.step * closing["train_images"] * len(epochs)) + forgetting,
        "flops_forgetting": forgetting,
        "learning_speed": learning_speed([record[metric] for record in epochs]),
        "gap": generalisation_gap(best["train/accuracy"], best[metric]),
    }
