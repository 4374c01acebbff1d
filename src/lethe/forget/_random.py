"""Forget at random: the criterion of FOMO."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from lethe._check import fraction as check_fraction
from lethe._check import one_of
from lethe._shards import cut
from lethe.forget._granularity import GRANULARITIES, spread, units
from lethe.forget._ranking import COUNTS
from lethe.forget._select import Select, selected_parameters

BLOCK = 2**24
"""A larger tensor is drawn in parts of this many entries, since a permutation needs eight bytes for each."""


def random_mask(
    model: nn.Module,
    fraction: float,
    *,
    select: Select = None,
    generator: torch.Generator | None = None,
    granularity: str = "weights",
    count: str = "per-tensor",
) -> dict[str, Tensor]:
    """Choose ``fraction`` of the selected weights, uniformly at random.

    The count is exact. Masks are drawn for whole tensors where the generator lives (the CPU without one) and moved to
    the weights, or cut into their shards, so that a seed gives the same masks on any device and any number of ranks.
    Without a generator ranks must have seeded torch alike.

    Args:
        model: the network.
        fraction: share to forget, in [0, 1]. FOMO: 0.035 (from memory of the paper, unverified).
        select: which parameters may be chosen; default: convolutional and linear weights.
        generator: source of randomness; None is torch's global one.
        granularity: ``"weights"``, ``"channels"`` (whole output channels; the selected parameters of a layer share
            them) or ``"layers"`` (a share of the number of layers).
        count: ``"per-tensor"``: ``round(fraction · n)`` of each tensor's n weights (or channels); ``"overall"``:
            ``round(fraction · N)`` of all N, of whichever tensor. Layers are counted over all in either case.

    Returns:
        ``{parameter name: bool tensor of its shape}``, True = forget.

    Raises:
        LetheError: ``fraction`` outside [0, 1], an unknown option, or ``select`` matches nothing.
    """
    check_fraction("fraction", fraction)
    one_of("granularity", granularity, GRANULARITIES)
    one_of("count", count, COUNTS)
    selected = selected_parameters(model, select)
    if granularity == "weights":
        sizes = {name: p.numel() for name, p in selected.items()}
    else:
        cells = units(model, selected, granularity)
        sizes = {name: cell.size for name, cell in cells.items()}
    if count == "overall" or granularity == "layers":
        counts = _split(round(fraction * sum(sizes.values())), list(sizes.values()), generator)
    else:
        counts = [round(fraction * size) for size in sizes.values()]
    if granularity == "weights":
        return {
            name: cut(_draw(p.numel(), number, generator).view(p.shape), p)
            for (name, p), number in zip(selected.items(), counts, strict=True)
        }
    chosen = {n: _draw(size, number, generator) for (n, size), number in zip(sizes.items(), counts, strict=True)}
    return spread(cells, chosen, selected)


def _draw(size: int, count: int, generator: torch.Generator | None) -> Tensor:
    """A bool vector of ``size`` with exactly ``count`` True, all such vectors equally likely."""
    device = torch.device("cpu") if generator is None else generator.device
    mask = torch.zeros(size, dtype=torch.bool, device=device)
    blocks = list(torch.split(mask, BLOCK))
    counts = [count] if len(blocks) < 2 else _split(count, [len(block) for block in blocks], generator)
    for block, number in zip(blocks, counts, strict=True):
        block[torch.randperm(len(block), generator=generator, device=device)[:number]] = True
    return mask


def _split(count: int, sizes: Sequence[int], generator: torch.Generator | None) -> list[int]:
    """How many of ``count`` entries, drawn from all without replacement, fall into parts of these sizes.

    Each entry is taken with the right probability, independently; then the few too many, or too few, are drawn among
    those taken, or not. Given its size, such a sample is uniform, at any stage.
    """
    device = torch.device("cpu") if generator is None else generator.device
    draw = np.random.default_rng(int(torch.randint(2**62, (), generator=generator, device=device)))
    taken = draw.binomial(sizes, count / max(1, sum(sizes)))
    excess = int(taken.sum()) - count
    pool = taken if excess > 0 else np.asarray(sizes) - taken
    picks = draw.choice(int(pool.sum()), abs(excess), replace=False, shuffle=False) if excess else np.empty(0)
    parts = np.bincount(np.searchsorted(pool.cumsum(), picks, side="right"), minlength=len(sizes))
    return [int(n) for n in (taken - parts if excess > 0 else taken + parts)]
