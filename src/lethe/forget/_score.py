"""A score of every entry of a parameter, computed in blocks, so that no second tensor of its size is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from lethe._shards import local

BLOCK = 2**20
"""Entries of a block, or one row of the tensor if that is longer."""


@dataclass(frozen=True)
class Score:
    """Scores of at least 0, of one parameter.

    Attributes:
        parts: tensors of the parameter's shape (and sharding), from which the score is made entry by entry.
        combine: makes it, of blocks of them.
    """

    parts: tuple[Tensor, ...]
    combine: Callable[..., Tensor]

    @classmethod
    def of(cls, values: Tensor) -> Score:
        """Scores that are there already."""
        return cls((values,), lambda block: block)

    @property
    def like(self) -> Tensor:
        """Of the scores' shape and sharding."""
        return self.parts[0]

    @property
    def dtype(self) -> torch.dtype:
        """In which scores are compared: fp32, or fp64 where the parameter is."""
        return torch.float64 if self.like.dtype == torch.float64 else torch.float32

    def whole(self) -> Tensor:
        """All of it at once, laid out as the parameter."""
        return self.combine(*self.parts)

    def blocks(self) -> Iterator[tuple[slice, Tensor]]:
        """Blocks of rows of this rank's part, and where they are."""
        here = [t.reshape(1) if t.ndim == 0 else t for t in local(self.parts)]
        rows = len(here[0])
        step = max(1, BLOCK * rows // max(1, here[0].numel()))
        for start in range(0, rows, step):
            at = slice(start, min(start + step, rows))
            yield at, self.combine(*(t[at] for t in here)).to(self.dtype)
