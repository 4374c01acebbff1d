"""The settings that a paper's own script uses, as the starting point of a recipe."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar, cast

from lethe._check import LetheError
from lethe.data import DataConfig
from lethe.engine import ScheduleConfig
from lethe.optim import AMPConfig, SGDConfig
from lethe.recipes._adversarial import ATRecipe
from lethe.recipes._anytime import AnytimeRecipe
from lethe.recipes._base import Recipe
from lethe.recipes._perturbed import AMPRecipe
from lethe.recipes._published_lure import LEARNERS, lure_script
from lethe.recipes._published_robust import ROBUST, robust_script

RecipeType = TypeVar("RecipeType", bound=Recipe)

FAMILY = ("sgd", "dropout", "label-smoothing", "flooding", "mixup", "input-at", "rmp", "amp")
"""The rows of the table of AMP's paper; the first is its ERM."""

LARGE = {"vanilla": (0.5, 1.0), "cutout": (0.3, 0.5), "autoaugment": (0.1, 0.1)}
EPSILON_AND_INNER_LR = {
    "preact-resnet18-amp": dict.fromkeys(LARGE, (0.5, 1.0)),
    "vgg16": dict.fromkeys(LARGE, (0.1, 0.2)),
    "wrn-28-10": LARGE,
    "pyramidnet-164-270": LARGE,
}
"""By network and augmentation, on CIFAR-10, CIFAR-100 and SVHN alike; one inner step."""


def published(kind: type[RecipeType], chosen: RecipeType | None = None) -> RecipeType:
    """The recipe with the settings of its paper's own script.

    Args:
        kind: the recipe.
        chosen: its data set, network and augmentation decide; None: the script's first choice.

    Raises:
        LetheError: nothing is published for this recipe, data set, network or augmentation.
    """
    if kind.name in FAMILY:
        return _amp_script(kind, chosen)
    if kind.name in ROBUST:
        return cast("RecipeType", robust_script(cast("type[ATRecipe]", kind), cast("ATRecipe | None", chosen)))
    if issubclass(kind, AnytimeRecipe) and kind.name in LEARNERS:
        return cast("RecipeType", lure_script(kind, cast("AnytimeRecipe | None", chosen)))
    known = LEARNERS if issubclass(kind, AnytimeRecipe) else FAMILY + ROBUST
    raise LetheError(f"no published settings for {kind.name!r}: there are some for {', '.join(known)}.")


def _amp_script(kind: type[RecipeType], chosen: RecipeType | None) -> RecipeType:
    """The recipe with the settings of AMP's script (``hiyouga/AMP-Regularizer``, ``main.py`` and its README).

    200 epochs of batches of 50, SGD with Nesterov's momentum 0.9, learning rate 0.1 falling at one half and three
    quarters, weight decay 1e-4, gradients of every pass clipped to 50; AMP's epsilon and inner step by network and
    augmentation.

    Where the script and Lethe differ:
        The script has no validation images and reports the best test accuracy over all epochs. Here a tenth of the
        training images is held out, unless ``validation_size`` says otherwise, and chosen on. The older code, whose
        README has the settings by network, clipped the last gradient alone.
    """
    start = kind(
        data=DataConfig(dataset="cifar10", augment="vanilla"),
        model=replace(kind().model, model="preact-resnet18-amp"),
        schedule=ScheduleConfig(epochs=200, batch_size=50, milestones=(0.5, 0.75), gamma=0.1),
        sgd=SGDConfig(lr=0.1, momentum=0.9, weight_decay=1e-4, nesterov=True, clip_norm=50.0),
    )
    data, model = (start.data, start.model) if chosen is None else (chosen.data, chosen.model)
    if data.dataset not in ("cifar10", "cifar100", "svhn"):
        raise LetheError(f"no published settings for {data.dataset!r}: there are some for cifar10, cifar100 and svhn.")
    if model.model not in EPSILON_AND_INNER_LR:
        known = ", ".join(EPSILON_AND_INNER_LR)
        raise LetheError(f"no published settings for {model.model!r}: there are some for {known}.")
    if data.augment not in LARGE:
        raise LetheError(f"no published settings for augment {data.augment!r}: there are some for {', '.join(LARGE)}.")
    recipe = replace(start, data=replace(start.data, dataset=data.dataset, augment=data.augment))
    recipe = replace(recipe, model=replace(recipe.model, model=model.model))
    if isinstance(recipe, AMPRecipe):
        epsilon, inner_lr = EPSILON_AND_INNER_LR[model.model][data.augment]
        recipe = replace(recipe, amp=AMPConfig(epsilon=epsilon, inner_lr=inner_lr, inner_iter=1))
    return recipe
