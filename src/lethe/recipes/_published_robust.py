"""The settings of the published scripts of adversarial training, as the starting point of a recipe."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar, cast

from lethe._check import LetheError
from lethe.attacks import PGD
from lethe.data import DataConfig
from lethe.engine import ComputeConfig, ScheduleConfig
from lethe.evaluate import EvaluationConfig
from lethe.methods import PAPER, SWAConfig
from lethe.models import ModelConfig
from lethe.objectives import ObjectiveConfig
from lethe.optim import AWPConfig, RWPConfig, SGDConfig
from lethe.recipes._adversarial import ATRecipe, AWPRecipe, FOMORecipe, RWPRecipe
from lethe.recipes._remedies import KDSWARecipe

RobustRecipe = TypeVar("RobustRecipe", bound=ATRecipe)

ONE_CONVENTION = ("at", "awp", "rwp", "fomo")
"""Whose scripts share their settings: AWP's, RWP's, and FOMO, which is built on the latter."""
ROBUST = (*ONE_CONVENTION, "trades", "mart", "kd-swa")
EVALUATED = EvaluationConfig(eval_steps=20)
SINGLE = ComputeConfig(precision="fp32")


def robust_script(kind: type[RobustRecipe], chosen: RobustRecipe | None) -> RobustRecipe:
    """The recipe with the settings of its own script.

    All scripts choose the best epoch on test images but KD-SWA's; Lethe on a tenth of the training images, which for
    KD-SWA are a random tenth, not the last. AWP's, RWP's and KD-SWA's attack in train mode, running statistics moving;
    Lethe in evaluation mode (``attack_mode="train"`` keeps the statistics). TRADES', MART's and SVHN's scripts
    normalise otherwise or not at all, Lethe inside the network by the data's own mean and deviation.
    """
    if kind.name in ONE_CONVENTION:
        return _shared(kind, chosen)
    if kind.name == "kd-swa":
        return cast("RobustRecipe", _kd_swa(chosen))
    return _trades_or_mart(kind, chosen)


def _shared(kind: type[RobustRecipe], chosen: RobustRecipe | None) -> RobustRecipe:
    """Settings shared by ``csdongxian/AWP`` and ``ChaojianYu/Robust-Weight-Perturbation``.

    PreActResNet-18 or WRN-34-10, 200 epochs of batches of 128, SGD with momentum 0.9, weight decay 5e-4, learning rate
    0.1 (SVHN 0.01) falling with the last step before one half and before three quarters; PGD-10 with epsilon 8/255 and
    steps of 2/255 (SVHN 1/255), PGD-20 for evaluation. CIFAR-10 is reflect-padded, cropped and flipped, CIFAR-100
    padded with black, cropped, flipped and turned. On SVHN AWP and RWP begin to perturb in the sixth epoch.
    FOMO's schedule and optimizer, as far as they are known, agree with these; what it forgets, and when, is from memory
    and unverified.
    """
    dataset = _one_of(chosen, "dataset", ("cifar10", "cifar100", "svhn"))
    network = _one_of(chosen, "model", ("preact-resnet18", "wrn-34-10"))
    objective = ObjectiveConfig() if chosen is None else chosen.robust
    if objective.objective != "pgd-at":
        raise LetheError(
            f"no published settings for {kind.name!r} over {objective.objective!r}: there are some over pgd-at."
        )
    house_numbers = dataset == "svhn"
    augment = {"cifar10": "crop-flip", "cifar100": "crop-flip-rotate", "svhn": "none"}[dataset]
    recipe = kind(
        data=DataConfig(dataset=dataset, augment=augment),
        model=ModelConfig(model=network),
        schedule=ScheduleConfig(epochs=200, batch_size=128, milestones=(0.5, 0.75), gamma=0.1, schedule_by="step"),
        sgd=SGDConfig(lr=0.01 if house_numbers else 0.1, momentum=0.9, weight_decay=5e-4),
        attack=PGD(epsilon=8 / 255, step_size=(1 if house_numbers else 2) / 255, steps=10, channels_last=True),
        robust=objective,
        evaluation=EVALUATED,
        compute=SINGLE,
    )
    warmup = 5 if house_numbers else 0
    if isinstance(recipe, AWPRecipe):
        recipe = replace(recipe, awp=AWPConfig(awp_gamma=0.01, awp_warmup=warmup))
    if isinstance(recipe, FOMORecipe):
        recipe = replace(recipe, fomo=PAPER)
    if isinstance(recipe, RWPRecipe):
        recipe = replace(recipe, rwp=RWPConfig(rwp_warmup=warmup))
    return recipe


def _trades_or_mart(kind: type[RobustRecipe], chosen: RobustRecipe | None) -> RobustRecipe:
    """Settings of ``yaodongyu/TRADES`` and ``YisenWang/MART``, on CIFAR-10.

    TRADES: WRN-34-10, 76 epochs, learning rate 0.1 falling with the 75th, weight decay 2e-4, beta 6. MART: ResNet-18
    by default, 120 epochs, learning rate 0.01 falling with the 75th, 90th and 100th, weight decay 3.5e-3, beta 5; or
    WRN-34-10, 90 epochs, 0.1 falling with the 75th and the last, 7e-4, beta 6. Both: batches of 128, momentum 0.9,
    black padding, PGD-10 with epsilon 0.031 and steps of 0.007. They evaluate by PGD-20 with steps of 0.003, here with
    the attack's own, and initialise networks otherwise.
    """
    _one_of(chosen, "dataset", ("cifar10",))
    trades = kind.name == "trades"
    network = _one_of(chosen, "model", ("wrn-34-10",) if trades else ("resnet18", "wrn-34-10"))
    falls: tuple[int, ...]
    if trades:
        epochs, falls, lr, weight_decay, beta = 76, (74,), 0.1, 2e-4, 6.0
    elif network == "resnet18":
        epochs, falls, lr, weight_decay, beta = 120, (74, 89, 99), 0.01, 3.5e-3, 5.0
    else:
        epochs, falls, lr, weight_decay, beta = 90, (74, 89), 0.1, 7e-4, 6.0
    return kind(
        data=DataConfig(dataset="cifar10", augment="crop-flip-zero"),
        model=ModelConfig(model=network),
        schedule=ScheduleConfig(
            epochs=epochs, batch_size=128, milestones=tuple(fall / epochs for fall in falls), gamma=0.1
        ),
        sgd=SGDConfig(lr=lr, momentum=0.9, weight_decay=weight_decay),
        attack=PGD(epsilon=0.031, step_size=0.007, steps=10, channels_last=True),
        robust=ObjectiveConfig(objective=kind.name, beta=beta),
        evaluation=EVALUATED,
        compute=SINGLE,
    )


def _kd_swa(chosen: ATRecipe | None) -> KDSWARecipe:
    """Settings of ``VITA-Group/Alleviate-Robust-Overfitting``, on CIFAR-10 and CIFAR-100.

    PreActResNet-18 (there named resnet18), 200 epochs of batches of 128, SGD with momentum 0.9, weight decay 5e-4,
    learning rate 0.1 falling at 50 and 150; PGD-10 with epsilon 8/255 and steps of 2/255, PGD-20 for evaluation;
    black padding, on CIFAR-100 turned as well; averaging from epoch 55 on; weights and temperature of the
    teachers are this recipe's defaults.
    """
    dataset = _one_of(chosen, "dataset", ("cifar10", "cifar100"))
    return KDSWARecipe(
        data=DataConfig(dataset=dataset, augment="crop-flip-zero" if dataset == "cifar10" else "crop-flip-rotate"),
        model=ModelConfig(model=_one_of(chosen, "model", ("preact-resnet18",))),
        schedule=ScheduleConfig(epochs=200, batch_size=128, milestones=(0.25, 0.75), gamma=0.1),
        sgd=SGDConfig(lr=0.1, momentum=0.9, weight_decay=5e-4),
        attack=PGD(epsilon=8 / 255, step_size=2 / 255, steps=10, channels_last=True),
        swa=SWAConfig(swa_start=55 / 200),
        evaluation=EVALUATED,
        compute=SINGLE,
    )


def _one_of(chosen: ATRecipe | None, option: str, known: tuple[str, ...]) -> str:
    """The data set or network that was chosen, the script's first choice without one, or an error."""
    if chosen is None:
        return known[0]
    value: str = chosen.data.dataset if option == "dataset" else chosen.model.model
    if value not in known:
        raise LetheError(f"no published settings for {value!r}: there are some for {', '.join(known)}.")
    return value
