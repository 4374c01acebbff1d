"""What an evaluation measures beside attacks: corrupted images, and the loss around the weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from lethe.data import ImageSet
from lethe.evaluate._accuracy import accuracy
from lethe.evaluate._corruptions import SEVERITIES, CorruptionSet
from lethe.evaluate._evaluation import Evaluation, OnProgress
from lethe.evaluate._sharpness import RADII, Sharpness, slices, worst_loss

LINE = tuple(round(-1 + 0.1 * i, 1) for i in range(21))
GRID = tuple(round(-1 + 0.2 * i, 1) for i in range(11))


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
        evaluation: gets ``corruptions``; one that is there and was made alike is not measured again.
        how: what else decides the images, as their seed.
        batch_size: images at a time.
        on_progress: told how it goes.
    """
    found = evaluation.found_beside("corruptions", {"source": corruptions.source, "names": corruptions.names} | how)
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


def measure_sharpness(
    model: nn.Module,
    data: ImageSet,
    evaluation: Evaluation,
    how: dict[str, Any],
    *,
    seed: int = 0,
    batch_size: int = 250,
    on_progress: OnProgress = lambda name, share: None,
) -> None:
    """Add the loss around the weights: the worst within growing radii, and slices along random directions.

    Args:
        model: on the images' device; its weights are restored to the bit.
        data: images that the loss is of.
        evaluation: gets ``sharpness``; one that is there and was made alike is not measured again.
        how: what else decides it: which images.
        seed: of the directions.
        batch_size: images at a time.
        on_progress: told how it goes.
    """
    found = evaluation.found_beside("sharpness", {"seed": seed, "images": len(data)} | how)
    if found:
        return
    on_progress("sharpness", 0.0)
    worst = worst_loss(model, data, RADII, batch_size=batch_size)
    on_line, on_grid = slices(
        model, data, LINE, GRID, seed=seed, batch_size=batch_size, on_progress=lambda s: on_progress("sharpness", s)
    )
    found.update(Sharpness(list(RADII), worst, list(LINE), on_line, list(GRID), on_grid).content())
    evaluation.save()


def sharpness_of(evaluation: Evaluation) -> Sharpness | None:
    """The sharpness that an evaluation holds; None if it was not measured."""
    found = evaluation.beside.get("sharpness", {}).get("found")
    return Sharpness(**found) if found else None


def picture_of(path: Path) -> Path:
    """Where the picture of a results file's sharpness lies."""
    return path.with_name(path.stem + "-sharpness.png")
