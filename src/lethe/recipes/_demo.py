"""The runs of `lethe demo`: three pairs, a method against its baseline, on bundled real data."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lethe.attacks import PGD
from lethe.data import DataConfig
from lethe.engine import ComputeConfig, ScheduleConfig
from lethe.evaluate import EvaluationConfig
from lethe.methods import FOMOConfig, LUREConfig
from lethe.optim import SGDConfig
from lethe.recipes._adversarial import ATRecipe, FOMORecipe
from lethe.recipes._base import Recipe
from lethe.recipes._learners import AlmaRecipe, LureRecipe
from lethe.recipes._perturbed import AMPRecipe
from lethe.recipes._standard import SGDRecipe
from lethe.recipes._stream import StreamConfig

SEEDS = (0, 1, 2)
"""Of the pairs that take seconds; adversarial training has the first alone."""


@dataclass(frozen=True)
class DemoRun:
    """One run of the demo.

    Attributes:
        name: of its folder.
        recipe: what is run.
        weight: how long it takes, relative to the others; for the time left.
    """

    name: str
    recipe: Recipe
    weight: float


def demo_runs() -> list[DemoRun]:
    """The runs, the longest first, so that two workers end at about the same time.

    The label noise and the sizes are chosen so that what the methods are for can be seen within a minute: with clean
    labels and all 1,797 images these networks hardly overfit. For the same reason the others have one milestone, early
    enough for robust overfitting to follow it.
    """
    data = DataConfig(train_size=600, validation_size=200, test_size=400, label_noise=0.3)
    schedule = ScheduleConfig(epochs=30, batch_size=64, milestones=(0.5,))
    sgd, evaluation = SGDConfig(lr=0.05), EvaluationConfig(eval_every=3, eval_steps=10)
    attack = PGD(epsilon=0.1, step_size=0.025, steps=5)
    compute = ComputeConfig(precision="fp32")  # the same numbers on more machines
    # FOMO as it is by default, a constant rate with it; the start such that a whole relearning phase ends the run.
    fomo, constant = FOMOConfig(start=0.2), ScheduleConfig(epochs=30, batch_size=64, schedule="constant")
    fewer = replace(data, train_size=400)  # an attack makes an epoch some ten times as long
    stream_data = replace(data, train_size=1000, validation_size=0, label_noise=0.2)
    stream = StreamConfig(megabatches=5)
    stream_schedule = ScheduleConfig(epochs=8, batch_size=64, milestones=(0.4, 0.8))
    fixed: list[Recipe] = [
        FOMORecipe(
            data=fewer, schedule=constant, sgd=sgd, evaluation=evaluation, attack=attack, compute=compute, fomo=fomo
        ),
        ATRecipe(data=fewer, schedule=schedule, sgd=sgd, evaluation=evaluation, attack=attack, compute=compute),
    ]
    lure = LUREConfig(fraction=0.2)
    repeated: list[Recipe] = [
        AMPRecipe(data=data, schedule=schedule, sgd=sgd, evaluation=evaluation),
        SGDRecipe(data=data, schedule=schedule, sgd=sgd, evaluation=evaluation),
        LureRecipe(data=stream_data, schedule=stream_schedule, sgd=sgd, stream=stream, lure=lure),
        AlmaRecipe(data=stream_data, schedule=stream_schedule, sgd=sgd, stream=stream),
    ]
    weights = {"fomo": 13.0, "at": 9.0, "amp": 4.5, "sgd": 2.5, "lure": 2.0, "alma": 2.0}
    runs = [DemoRun(recipe.name, recipe, weights[recipe.name]) for recipe in fixed]
    for recipe in repeated:
        for seed in SEEDS:
            seeded = replace(recipe, run=replace(recipe.run, seed=seed))
            runs.append(DemoRun(f"{recipe.name}-seed{seed}", seeded, weights[recipe.name]))
    return runs
