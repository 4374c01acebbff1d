"""How fast the loss rises around the weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lethe._check import LetheError, at_least, non_negative
from lethe._guard import evaluation_mode
from lethe.data import ImageSet, batches
from lethe.evaluate._evaluation import Evaluation, OnProgress

RADII = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1)
LINE = tuple(round(-1 + 0.1 * i, 1) for i in range(21))
GRID = tuple(round(-1 + 0.2 * i, 1) for i in range(11))


@dataclass(frozen=True)
class Sharpness:
    """Losses around a network's weights; every weight tensor is moved, biases and normalisation are not.

    Attributes:
        radii: shares of each tensor's own norm.
        worst: the largest cross-entropy that was found within each radius; it never falls.
        line: places of the 1-D slice, 0 the network itself, 1 a step as long, filter by filter, as the weights.
        on_line: cross-entropy there.
        grid: places of the 2-D slice, on both axes.
        on_grid: cross-entropy there, a row for each place along the second direction.
    """

    radii: list[float]
    worst: list[float]
    line: list[float]
    on_line: list[float]
    grid: list[float]
    on_grid: list[list[float]]

    def content(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def worst_loss(
    model: nn.Module, data: ImageSet, radii: Sequence[float], *, steps: int = 3, batch_size: int = 250
) -> list[float]:
    """The largest cross-entropy found where each weight tensor w may move by ``radius · ‖w‖``.

    AMP's inner maximisation (Zheng, Zhang and Mao, CVPR 2021) on the whole image set instead of a batch: steps along
    each tensor's normalised gradient, projected onto its ball, which like AWP's is relative to the tensor's norm, so
    that networks of another scale can be compared. Each radius starts where the one before it ended.

    Args:
        model: evaluated in evaluation mode; its weights are restored to the bit.
        data: images, on the model's device.
        radii: rising shares of a tensor's norm, from 0.
        steps: ascent steps a radius, each a forward and a backward pass over the images.
        batch_size: images at a time.

    Returns:
        One value a radius; infinity where a loss is nan.

    Raises:
        LetheError: radii that fall, or a network without weights to move.
    """
    at_least("steps", steps, 1)
    for radius in radii:
        non_negative("a radius", radius)
    if list(radii) != sorted(radii):
        raise LetheError(f"radii must rise, got {', '.join(map(str, radii))}: each starts where the one before ended.")
    found: list[float] = []
    with _moved(model) as (weights, start):
        lengths = [w.norm() for w in start]
        loss, slopes = _slope(model, weights, data, batch_size)
        largest = _as_worst(loss)
        for radius in radii:
            for _ in range(steps if radius else 0):
                for w, w0, length, g in zip(weights, start, lengths, slopes, strict=True):
                    gap = w + g * (2 * radius / steps * length / g.norm().clamp(min=1e-30)) - w0
                    w.copy_(w0 + gap * (radius * length / gap.norm().clamp(min=1e-30)).clamp(max=1.0))
                torch.clear_autocast_cache()  # in which an outer autocast keeps the weights as they were
                loss, slopes = _slope(model, weights, data, batch_size)
                largest = max(largest, _as_worst(loss))
            found.append(largest)
    return found


def _as_worst(loss: float) -> float:
    """A loss that is no number is worse than any."""
    return math.inf if math.isnan(loss) else loss


def slices(
    model: nn.Module,
    data: ImageSet,
    line: Sequence[float],
    grid: Sequence[float],
    *,
    seed: int = 0,
    batch_size: int = 250,
    on_progress: Callable[[float], None] = lambda share: None,
) -> tuple[list[float], list[list[float]]]:
    """Cross-entropy along one random direction, and across two (Li et al., NeurIPS 2018).

    A direction is normal, and each filter of it as long as that filter of the weights.

    Args:
        model: evaluated in evaluation mode; its weights are restored to the bit.
        data: images, on the model's device.
        line: places along the first direction, 0 being the network.
        grid: places along both directions.
        seed: of the directions.
        batch_size: images at a time.
        on_progress: told the share that is done.

    Returns:
        The losses on the line, and those on the grid, a row for each place along the second direction.
    """
    done, total = 0, len(line) + len(grid) ** 2
    with _moved(model) as (weights, start):
        generator = torch.Generator().manual_seed(seed)
        first, second = ([_direction(w, generator) for w in start] for _ in range(2))

        def at(a: float, b: float) -> float:
            nonlocal done
            for w, w0, d, e in zip(weights, start, first, second, strict=True):
                w.copy_(w0 + a * d + b * e)
            torch.clear_autocast_cache()
            loss = _loss(model, data, batch_size)
            done += 1
            on_progress(done / total)
            return loss

        return [at(a, 0.0) for a in line], [[at(a, b) for a in grid] for b in grid]


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


def _direction(weight: Tensor, generator: torch.Generator) -> Tensor:
    drawn = torch.randn(weight.shape, generator=generator).to(weight)
    filters = tuple(range(1, weight.ndim))
    length = torch.linalg.vector_norm(weight, dim=filters, keepdim=True)
    scale: Tensor = length / torch.linalg.vector_norm(drawn, dim=filters, keepdim=True).clamp(min=1e-30)
    return drawn * scale


@contextmanager
def _moved(model: nn.Module) -> Iterator[tuple[list[nn.Parameter], list[Tensor]]]:
    """The weights, free to be moved, and copies of them, from which they are restored."""
    weights = [p for p in model.parameters() if p.ndim > 1 and (p.is_floating_point() or p.is_complex())]
    if not weights:
        raise LetheError("sharpness moves weights of two or more dimensions, and this network has none.")
    start = [w.detach().clone() for w in weights]
    with evaluation_mode(model), torch.no_grad():
        try:
            yield weights, start
        finally:
            for w, w0 in zip(weights, start, strict=True):
                w.copy_(w0)
            torch.clear_autocast_cache()


def _loss(model: nn.Module, data: ImageSet, batch_size: int) -> float:
    total = torch.zeros((), device=data.labels.device)
    for x, y in batches(data, batch_size):
        total += F.cross_entropy(model(x), y, reduction="sum")
    return float(total) / len(data)


def _slope(
    model: nn.Module, weights: list[nn.Parameter], data: ImageSet, batch_size: int
) -> tuple[float, list[Tensor]]:
    """The mean loss and its gradient; nothing is written into ``.grad``."""
    total, slopes = torch.zeros((), device=data.labels.device), [torch.zeros_like(w) for w in weights]
    flags = [w.requires_grad for w in weights]
    try:
        for w in weights:
            w.requires_grad_()
        for x, y in batches(data, batch_size):
            with torch.enable_grad():
                loss = F.cross_entropy(model(x), y, reduction="sum") / len(data)
            found = torch.autograd.grad(loss, weights, allow_unused=True)
            total += loss.detach()
            for slope, gradient in zip(slopes, found, strict=True):
                if gradient is not None:
                    slope += gradient
    finally:
        for w, flag in zip(weights, flags, strict=True):
            w.requires_grad_(flag)
    return float(total), slopes
