"""The settings of LURE's scripts, as the starting point of a recipe."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar, cast

from lethe._check import LetheError
from lethe.data import DataConfig
from lethe.engine import RunConfig, ScheduleConfig
from lethe.methods import LLFConfig, LUREConfig, ScratchConfig, ShrinkPerturbConfig
from lethe.models import ModelConfig
from lethe.optim import SGDConfig
from lethe.recipes._anytime import AnytimeRecipe
from lethe.recipes._learners import AlmaRecipe, LLFRecipe, LureRecipe, ScratchRecipe, ShrinkPerturbRecipe
from lethe.recipes._megabatch import MegabatchConfig
from lethe.recipes._stream import StreamConfig

LearnerType = TypeVar("LearnerType", bound=AnytimeRecipe)

LEARNERS = ("lure", "alma", "scratch", "shrink-perturb", "llf")
"""Those of LURE's code; its RIFLE does nothing."""
SETTINGS = {
    "cifar10": ("crop-flip-zero", 64, ("resnet18", "resnet50")),
    "cifar100": ("crop-flip-zero", 64, ("resnet18", "resnet50")),
    "restricted-imagenet": ("random-resized-crop", 128, ("resnet50-imagenet", "resnet50", "resnet18-imagenet")),
}
"""Of each data set augmentation, batch size, and networks, the script's own first."""


def lure_script(kind: type[LearnerType], chosen: LearnerType | None) -> LearnerType:
    """The recipe with the settings of the two commands in the README of ``NeurAI-Lab/LURE``.

    CIFAR-10, ResNet-18: 8 megabatches of 6,250 images, the last tenth of the data set for validation, in the order of
    the data set, all replayed; 50 epochs each of batches of 64, SGD with momentum 0.9, weight decay 1e-4, learning rate
    0.1 falling at 20 and 40, 0.1 again for each megabatch, momentum carried on; LURE forgets a share of 0.2; seed 10.
    CIFAR-100 likewise. Restricted ImageNet, 14 classes, ResNet-50: batches of 128.
    ``alma`` are those of ``ALMA.py``, whose learning rate never falls (``gamma`` 1, with no option for it), though
    LURE's does: the baseline that differs from LURE in the forgetting alone is ``alma --published --gamma 0.1``.

    Where the scripts and Lethe differ:
        Their validation images are augmented, here they are not. The learning rate is set to the literal 0.1 for each
        megabatch, here to ``lr``. For Restricted ImageNet the README's command matches no branch of the script, leaves
        out ``--imagenet_arch``, so that a ResNet-50 with CIFAR's stem would meet images of 224 pixels (``--model
        resnet50``; the first choice here is ImageNet's stem), and augments in colour and light as well.
    """
    dataset = "cifar10" if chosen is None else chosen.data.dataset
    if dataset not in SETTINGS:
        known = ", ".join(SETTINGS)
        raise LetheError(f"no published settings for {dataset!r}: there are some for {known}.")
    augment, batch_size, networks = SETTINGS[dataset]
    network = networks[0]
    # The script's first choice of another data set is no choice of a network.
    if chosen is not None and chosen.model.model != SETTINGS["cifar10"][2][0]:
        network = chosen.model.model
    if network not in networks:
        raise LetheError(f"no published settings for {network!r}: there are some for {', '.join(networks)}.")
    start = kind(
        run=RunConfig(seed=10),
        data=DataConfig(dataset=dataset, augment=augment, validation_size=0, restricted_classes=_classes(dataset)),
        model=ModelConfig(model=network),
        schedule=ScheduleConfig(
            epochs=50,
            batch_size=batch_size,
            milestones=(0.4, 0.8),
            gamma=1.0 if kind.name == "alma" else 0.1,
        ),
        sgd=SGDConfig(lr=0.1, momentum=0.9, weight_decay=1e-4),
        stream=StreamConfig(megabatches=8, holdout=0.1, replay="full", order="published"),
        megabatch=MegabatchConfig(optimizer_state="carried"),
    )
    return cast("LearnerType", _official(start))


def _official(start: AnytimeRecipe) -> AnytimeRecipe:
    """With what LURE's code does between megabatches."""
    if isinstance(start, LureRecipe):
        return replace(start, lure=LUREConfig(fraction=0.2, official=True))
    if isinstance(start, ScratchRecipe):
        return replace(start, scratch=ScratchConfig(official=True))
    if isinstance(start, ShrinkPerturbRecipe):
        return replace(start, shrink_perturb=ShrinkPerturbConfig(official=True))
    if isinstance(start, LLFRecipe):
        return replace(start, llf=LLFConfig(official=True))
    if isinstance(start, AlmaRecipe):
        return start
    raise LetheError(f"no published settings for {start.name!r}: there are some for {', '.join(LEARNERS)}.")


def _classes(dataset: str) -> int:
    return 14 if dataset == "restricted-imagenet" else DataConfig.restricted_classes
