"""Accuracy on naturally corrupted images, kept in an evaluation."""

from __future__ import annotations

from typing import Any

from torch import nn

from lethe.evaluate._accuracy import accuracy
from lethe.evaluate._corruptions import SEVERITIES, CorruptionSet
from lethe.evaluate._evaluation import Evaluation, OnProgress


def measure_corruptions(
    model: nn.Module,
    corruptions: CorruptionSet,
    evaluation: Evaluation,
    how: dict[str, Any],
    *,
    batch_size: int = 250,
    on_progress: OnProgress = lambda name, share: None,
) -> None:
    """Add the accuracy under each corruption at severities 1 to 5, kept corruption by corruption.

    Args:
        model: on the images' device; left as it was.
        corruptions: the official ones, or made ones.
        evaluation: gets ``corruptions``, if these are made, or ``official corruptions``; one that is there and was made
            alike is not measured again.
        how: what else decides the images, as their seed.
        batch_size: images at a time.
        on_progress: told how it goes.
    """
    found = evaluation.found_beside(corruptions.key, {"source": corruptions.source, "names": corruptions.names} | how)
    for number, name in enumerate(corruptions.names):
        if name in found:
            continue
        shares = []
        for severity in SEVERITIES:
            on_progress("corruptions", (number + (severity - 1) / len(SEVERITIES)) / len(corruptions.names))
            shares.append(accuracy(model, corruptions.images(name, severity), batch_size=batch_size))
        found[name] = shares
        evaluation.save()
    on_progress("corruptions", 1.0)


def mean_corruption_accuracy(found: dict[str, list[float]]) -> float:
    """The mean over corruptions and severities, as the literature reports it."""
    return sum(sum(shares) / len(shares) for shares in found.values()) / len(found)
