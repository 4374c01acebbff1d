"""The lowest scores, over all tensors or of each, found by counting: no list of all scores is ever made."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn

from lethe._check import LetheError, one_of
from lethe._shards import add_ranks, before_this_rank, local, sharded, wrap
from lethe.forget._granularity import GRANULARITIES, spread, unit_scores, units
from lethe.forget._score import Score

COUNTS = ("overall", "per-tensor")
TIES = ("all", "first")
DIGIT = 16
"""Bits that are counted in one pass over the scores."""


def lowest_units(
    model: nn.Module,
    selected: Mapping[str, Tensor],
    scores: Mapping[str, Score],
    fraction: float,
    *,
    granularity: str,
    count: str,
    ties: str,
) -> dict[str, Tensor]:
    """Masks of the ``fraction`` of weights, channels or layers with the lowest scores; a unit's is its entries' mean.

    Of all weights these are ``int(fraction · N)``, as in LURE's code; of the far fewer units ``round(fraction · N)``.

    Raises:
        LetheError: an unknown option, or a score that is not finite.
    """
    one_of("granularity", granularity, GRANULARITIES)
    one_of("count", count, COUNTS)
    one_of("ties", ties, TIES)
    if granularity == "weights":
        return lowest(scores, fraction, count=count, ties=ties)
    cells = units(model, selected, granularity)
    found = unit_scores(cells, scores)
    if count == "overall" or granularity == "layers":  # shares of each layer would mean all of it or nothing
        chosen = _lowest(found, round(fraction * sum(cell.size for cell in cells.values())), ties)
    else:
        chosen = lowest(found, fraction, count=count, ties=ties)
    return spread(cells, chosen, selected)


def lowest(
    scores: Mapping[str, Score], fraction: float, *, count: str = "overall", ties: str = "all"
) -> dict[str, Tensor]:
    """Masks of the ``fraction`` of all entries with the lowest scores.

    Args:
        scores: by name.
        fraction: in [0, 1].
        count: ``"overall"``: the threshold is the ``int(fraction · N)``-th smallest of all N scores;
            ``"per-tensor"``: each tensor has its own, the ``round(fraction · n)``-th smallest of its n.
        ties: of entries that equal the threshold, ``"all"`` go, or the ``"first"`` in the network's order, so many
            that the count is exact.

    Raises:
        LetheError: an unknown option, or a score that is not finite.
    """
    one_of("count", count, COUNTS)
    one_of("ties", ties, TIES)
    if count == "overall":
        return _lowest(scores, int(fraction * sum(s.like.numel() for s in scores.values())), ties)
    masks: dict[str, Tensor] = {}
    for name, score in scores.items():
        masks |= _lowest({name: score}, round(fraction * score.like.numel()), ties)
    return masks


def _lowest(scores: Mapping[str, Score], count: int, ties: str) -> dict[str, Tensor]:
    dtype = torch.float64 if any(s.dtype == torch.float64 for s in scores.values()) else torch.float32
    threshold, left = _kth_smallest(scores.values(), count, dtype)
    masks = {}
    for name, score in scores.items():
        here = local([score.like])[0]
        mask = torch.zeros(here.shape if here.ndim else (1,), dtype=torch.bool, device=here.device)
        if count:
            allowed = here.numel() if ties == "all" else left
            if ties == "first" and sharded(score.like):
                mine = sum(int((_bits(values, dtype) == threshold).sum()) for _, values in score.blocks())
                before, total = before_this_rank(mine, score.like)
                allowed, left = max(0, left - before), max(0, left - total)
            for at, values in score.blocks():
                bits = _bits(values, dtype)
                mask[at] = bits < threshold
                taken = (bits == threshold).flatten().nonzero().squeeze(1)[:allowed]
                mask[at] = mask[at].flatten().index_fill(0, taken, True).view(bits.shape)
                allowed -= len(taken)
            if ties == "first" and not sharded(score.like):
                left = allowed
        masks[name] = wrap(mask.view(here.shape), score.like)
    return masks


def _kth_smallest(scores: Collection[Score], k: int, dtype: torch.dtype) -> tuple[int, int]:
    """The bits of the k-th smallest score, and how many of the k equal it.

    The bits of floats of at least 0, read as an integer, are in the floats' own order. So the value is found digit by
    digit: each pass counts how often each next digit occurs among the scores that begin with the digits found so far.
    """
    width = torch.finfo(dtype).bits
    found = 0
    for shift in range(width - DIGIT, -1, -DIGIT):
        first = shift == width - DIGIT
        counts = _count_digits(scores, None if first else found, shift, dtype)
        if first and int(counts[_infinity(dtype) :].sum()):
            raise LetheError("a score is not finite: the loss, or the network, has diverged.")
        if k == 0:
            return 0, 0
        up_to = counts.cumsum(0)
        digit = int((up_to < k).sum())
        k -= int(up_to[digit - 1]) if digit else 0
        found = (found << DIGIT) | digit
    return found, k


def _count_digits(scores: Collection[Score], prefix: int | None, shift: int, dtype: torch.dtype) -> Tensor:
    """How often each value of the digit at ``shift`` occurs among scores that begin with ``prefix``, over all ranks."""
    total = torch.zeros(2**DIGIT, dtype=torch.long)
    for score in scores:
        counts = torch.zeros(2**DIGIT, dtype=torch.long, device=local([score.like])[0].device)
        for _, values in score.blocks():
            bits = _bits(values, dtype).flatten()
            if prefix is not None:
                bits = bits[bits >> (shift + DIGIT) == prefix]
            counts += torch.bincount((bits >> shift) & (2**DIGIT - 1), minlength=2**DIGIT)
        total += add_ranks(counts, score.like).cpu()
    return total


def _bits(values: Tensor, dtype: torch.dtype) -> Tensor:
    """A score's bits as an integer; the absolute value, because -0.0 is no less than 0.0."""
    return values.to(dtype).abs().contiguous().view(torch.int64 if dtype == torch.float64 else torch.int32)


def _infinity(dtype: torch.dtype) -> int:
    """The first digit of infinity; those of nan are no smaller."""
    return 0x7FF0 if dtype == torch.float64 else 0x7F80
