"""Attacks of an evaluation, by name."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn

from lethe._check import LetheError, at_least, nearest, non_negative
from lethe.attacks import PGD, CarliniWagnerL2, cw_linf, fgsm
from lethe.attacks._constraints import check_radius

BatchAttack: TypeAlias = Callable[[nn.Module, Tensor, Tensor, torch.Generator], Tensor]
"""From network, images, labels and generator to attacked images."""

WHOLE = ("autoattack", "autoattack-rand", "square")
"""Attacks that see all images at once, through pyautoattack."""

FORMS = ("clean", "fgsm", "pgd-STEPS", "cw-STEPS", "cw-l2", *WHOLE, "transfer")


@dataclass(frozen=True)
class Threat:
    """What an attack may do.

    Attributes:
        norm: ``linf`` or ``l2``.
        epsilon: radius of the ball around each image in [0, 1].
        step_size: of PGD; None: a quarter of epsilon.
    """

    norm: str = "linf"
    epsilon: float = 8 / 255
    step_size: float | None = None

    def __post_init__(self) -> None:
        check_radius(self.norm, self.epsilon)  # here, because not all attacks are PGD's
        if self.step_size is not None:
            non_negative("step_size", self.step_size)

    @property
    def step(self) -> float:
        """Length of PGD's steps."""
        return self.epsilon / 4 if self.step_size is None else self.step_size

    def pgd(self, steps: int, loss: str = "ce") -> PGD:
        """PGD in this ball."""
        return PGD(epsilon=self.epsilon, step_size=self.step, steps=steps, norm=self.norm, loss=loss)


def title(name: str) -> str:
    """As it stands in tables: PGD-20, C&W-100, AutoAttack."""
    special = {
        "clean": "clean",
        "corruptions": "corruptions",
        "sharpness": "sharpness",
        "cw-l2": "C&W l2",
        "autoattack": "AutoAttack",
        "autoattack-rand": "AutoAttack (rand)",
        "square": "Square",
        "transfer": "transfer",
    }
    if name in special:
        return special[name]
    whole, stage, attack = name.partition(":")
    if stage:
        return f"{special[whole]} after {attack.upper()}"
    return name.upper().replace("CW-", "C&W-")


def batch_attack(name: str, threat: Threat, source: nn.Module | None = None) -> BatchAttack | None:
    """The attack of this name; None for ``clean`` and for those that see all images at once.

    Args:
        name: ``clean``, ``fgsm``, ``pgd-20`` (any number of steps), ``cw-100`` (PGD with the margin loss), ``cw-l2``
            (the shortest perturbation, which counts where it is within epsilon), ``autoattack``, ``autoattack-rand``,
            ``square``, ``transfer`` (PGD-100 on ``source``).
        threat: the ball.
        source: the network that transferred images are made on.

    Raises:
        LetheError: no such attack, or one that does not go with the ball.
    """
    if name == "clean" or name in WHOLE:
        return None
    if name == "fgsm":
        if threat.norm != "linf":
            raise LetheError("fgsm is an attack in linf: leave it out in l2, or set the norm to linf.")
        return fgsm(threat.epsilon)
    if name == "cw-l2":
        if threat.norm != "l2":
            raise LetheError("cw-l2 measures in l2: set the norm to l2, or leave it out.")
        return CarliniWagnerL2()
    if name == "transfer":
        if source is None:
            raise LetheError("transfer needs another network: name its run with --transfer-from.")
        pgd, other = threat.pgd(100), source
        return lambda model, x, y, generator: pgd(other, x, y, generator)
    found = re.fullmatch(r"(pgd|cw)-(\d+)", name)
    if found is None:
        hint = nearest(re.sub(r"\d+", "STEPS", name.lower()), FORMS)
        raise LetheError(f"unknown attack {name!r}.{hint} Known: {', '.join(FORMS)}.")
    steps = at_least("the steps of an attack", int(found[2]), 1)
    if found[1] == "pgd":
        return threat.pgd(steps)
    if threat.norm == "linf":
        return cw_linf(threat.epsilon, threat.step, steps)
    return threat.pgd(steps, loss="margin")
