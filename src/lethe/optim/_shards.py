"""Tensors that may be sharded over ranks (FSDP2): work on the part that is here, but measure the whole."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def sharded(tensor: Tensor) -> bool:
    """Whether this is a DTensor. Importing that class costs every user time, so its method is asked for instead."""
    return hasattr(tensor, "to_local")


def local(tensors: Sequence[Tensor]) -> list[Tensor]:
    """What lies on this rank of each tensor, sharing its memory; an ordinary tensor is its own."""
    return [t.to_local() if sharded(t) else t for t in tensors]  # type: ignore[attr-defined]


def norms(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The l2 norm of each whole tensor, in fp32 at least: in fp16 it may overflow, and 1e-12 is 0."""
    if any(t.dtype in (torch.float16, torch.bfloat16) for t in tensors):
        found = [torch.linalg.vector_norm(t, dtype=torch.promote_types(t.dtype, torch.float32)) for t in tensors]
    else:
        found = list(torch._foreach_norm(list(tensors), 2))
    return [n.full_tensor() if sharded(n) else n for n in found]


def norm_of_all(tensors: Sequence[Tensor]) -> Tensor:
    """The l2 norm of all tensors as one vector."""
    each = norms(tensors)
    whole: Tensor = torch.linalg.vector_norm(torch.stack([n.to(each[0]) for n in each]))
    return whole
