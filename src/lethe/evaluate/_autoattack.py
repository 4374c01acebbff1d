"""AutoAttack, and Square alone, through the authors' own package."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from lethe._check import LetheError
from lethe._guard import evaluation_mode
from lethe.data import ImageSet
from lethe.data._image_set import as_float
from lethe.evaluate._named_attacks import Threat

NORMS = {"linf": "Linf", "l2": "L2"}

STAGES = {
    "autoattack": ("apgd-ce", "apgd-t", "fab-t", "square"),
    "autoattack-rand": ("apgd-ce", "apgd-dlr"),
    "square": ("square",),
}
"""The attacks that each version tries, one after the other, on the images that are left."""


def autoattack_stage(
    model: nn.Module,
    data: ImageSet,
    threat: Threat,
    stage: str,
    right: Tensor,
    *,
    version: str = "autoattack",
    batch_size: int = 250,
    seed: int = 0,
    on_progress: Callable[[float], None] = lambda share: None,
) -> tuple[Tensor, list[str]]:
    """Run one attack of the ensemble of Croce and Hein (ICML 2020) on the images that are left.

    Through the authors' package ``pyautoattack``. Stage by stage this gives the verdicts of the whole ensemble in one
    call, and can be stopped in between (the package's own state file cannot be read back in version 0.2.0). The
    package draws from torch's global generator, which is put back; the network is left as it was.

    Args:
        model: from images in [0, 1] to logits, on the data's device.
        data: images and labels.
        threat: norm and radius.
        stage: one of ``STAGES[version]``.
        right: which images are left, (N,).
        version: ``autoattack`` (standard), ``autoattack-rand``, or ``square`` alone.
        batch_size: images at a time. It is part of the result: the package seeds each batch.
        seed: for each batch.
        on_progress: told the share of the batches that is done.

    Returns:
        Which images are left now, (N,), on the CPU, and the package's warnings.

    Raises:
        LetheError: the package is not installed, or there are too few classes for its losses.
    """
    try:
        from pyautoattack import AutoAttack
    except ModuleNotFoundError as error:
        raise LetheError("AutoAttack needs its package: pip install pyautoattack.") from error
    device, left = data.labels.device, right.nonzero().squeeze(1)
    after = right.cpu().clone()
    if len(left) == 0:
        return after, []
    part = data.subset(left.to(device))
    x = as_float(part.images)
    ensemble = AutoAttack(
        model,
        version="rand" if version == "autoattack-rand" else "standard",
        norm=NORMS[threat.norm],
        eps=threat.epsilon,
        seed=seed,
        device=device,
    )
    ensemble.attacks_to_run = [stage]
    for attack in (ensemble.apgd_targeted, ensemble.fab):  # which take the nine likeliest of the other classes
        attack.n_target_classes = min(9, data.classes - 1)
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), _untouched(model), _listening(on_progress) as warned:
        _, predicted = ensemble.run_standard_evaluation(x, part.labels, batch_size=batch_size)
    after[left.cpu()] = (predicted == part.labels).cpu()
    return after, warned


def enough_classes(version: str, classes: int) -> None:
    """Raise where the ensemble's losses, which compare the three or four largest logits, have too few."""
    needed = {"autoattack": 4, "autoattack-rand": 3}.get(version, 2)
    if classes < needed:
        raise LetheError(
            f"{version} compares the {needed} largest logits, and there are {classes} classes: take pgd-100 and square."
        )


@contextmanager
def _untouched(model: nn.Module) -> Iterator[None]:
    """Evaluation mode, and no gradients in the parameters: the package calls backward."""
    wanted = [p for p in model.parameters() if p.requires_grad]
    for p in wanted:
        p.requires_grad_(False)
    try:
        with evaluation_mode(model):
            yield
    finally:
        for p in wanted:
            p.requires_grad_(True)


@contextmanager
def _listening(on_progress: Callable[[float], None]) -> Iterator[list[str]]:
    """Read the share that is done from the package's log (``apgd-t - 3/8 - ...``), and collect its warnings."""
    warned: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            line = record.getMessage()
            if record.levelno >= logging.WARNING:
                warned.append(line)
            elif found := re.match(r"\S+ - (\d+)/(\d+) - ", line):
                on_progress(int(found[1]) / int(found[2]))

    logger, listener = logging.getLogger("auto-attack"), Listener()
    level, propagate = logger.level, logger.propagate
    logger.addHandler(listener)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        yield warned
    finally:
        logger.removeHandler(listener)
        logger.setLevel(level)
        logger.propagate = propagate
