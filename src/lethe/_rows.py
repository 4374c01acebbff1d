"""Draws for a part of a batch that equal those which the whole batch would have had."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor


@dataclass(frozen=True)
class Rows:
    """A generator for some rows of a batch: it draws for all rows, and the others are thrown away.

    So several devices, or several micro-batches, draw together what one device draws for the batch at once.

    Attributes:
        generator: the same state wherever a part of this batch is drawn for.
        first: of the rows, counted from 0.
        total: rows of the whole batch.
    """

    generator: torch.Generator
    first: int
    total: int


Source: TypeAlias = "torch.Generator | Rows | None"
"""Where draws come from; None is torch's global generator."""


def draw(shape: torch.Size, source: Source, like: Tensor, *, normal: bool = False) -> Tensor:
    """Numbers in [0, 1), or from N(0, 1), of this shape, drawn where the generator lives, then moved to ``like``."""
    generator = source.generator if isinstance(source, Rows) else source
    device = like.device if generator is None else generator.device
    make = torch.randn if normal else torch.rand
    if not isinstance(source, Rows):
        return make(shape, generator=generator, device=device).to(like)
    everything = make((source.total, *shape[1:]), generator=generator, device=device)
    return everything[source.first : source.first + shape[0]].to(like)
