"""One ranking over all selected weights: the lowest go."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from lethe._check import LetheError


def lowest(scores: Mapping[str, Tensor], fraction: float) -> dict[str, Tensor]:
    """Masks of the ``fraction`` of all entries with the lowest scores, over all tensors together.

    The threshold is the ``int(fraction · N)``-th smallest of the N scores, and everything at or under it is chosen:
    ties at the threshold all go.

    Raises:
        LetheError: a score is not finite.
    """
    if not all(bool(s.isfinite().all()) for s in scores.values()):
        raise LetheError("a score is not finite: the loss, or the network, has diverged.")
    count = int(fraction * sum(s.numel() for s in scores.values()))
    if count == 0:
        return {name: torch.zeros_like(s, dtype=torch.bool) for name, s in scores.items()}
    first = next(iter(scores.values()))
    threshold = torch.cat([s.flatten().to(first.device) for s in scores.values()]).kthvalue(count).values
    return {name: s <= threshold.to(s.device) for name, s in scores.items()}
