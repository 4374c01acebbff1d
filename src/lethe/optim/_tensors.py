"""Arithmetic on lists of tensors: as one foreach kernel or one by one; on local shards, with norms of the whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def sharded(tensor: Tensor) -> bool:
    """Whether this is a DTensor. Importing that class costs every user time, so its method is asked for instead."""
    return hasattr(tensor, "to_local")


def local(tensors: Sequence[Tensor]) -> list[Tensor]:
    """What lies on this rank of each tensor, sharing its memory; an ordinary tensor is its own."""
    return [t.to_local() if sharded(t) else t for t in tensors]  # type: ignore[attr-defined]


def norms(tensors: Sequence[Tensor], *, foreach: bool = True) -> Tensor:
    """The l2 norms of the whole tensors, (N,), in fp32 at least: in fp16 one may overflow, and 1e-12 is 0."""
    # Of sparse gradients older torch has no foreach norm.
    if not foreach or any(t.dtype in (torch.float16, torch.bfloat16) or t.is_sparse for t in tensors):
        found = [_norm(t) for t in tensors]
    else:
        found = list(torch._foreach_norm(list(tensors), 2))
    whole = [n.full_tensor() if sharded(n) else n for n in found]
    return torch.stack([n.to(whole[0]) for n in whole])


def _norm(tensor: Tensor) -> Any:
    """The l2 norm of one tensor, in fp32 at least; of a sparse gradient that of its entries."""
    entries = tensor.coalesce().values() if tensor.is_sparse else tensor
    return torch.linalg.vector_norm(entries, dtype=torch.promote_types(tensor.dtype, torch.float32))


def norm_of_all(tensors: Sequence[Tensor], *, foreach: bool = True) -> Tensor:
    """The l2 norm of all tensors as one vector, a scalar."""
    whole: Tensor = torch.linalg.vector_norm(norms(tensors, foreach=foreach))
    return whole


def copy_(targets: Sequence[Tensor], sources: Sequence[Tensor], *, foreach: bool = True) -> None:
    """Write the sources into the targets."""
    here, there = local(targets), local(sources)
    if foreach:
        torch._foreach_copy_(here, there)
        return
    for target, source in zip(here, there, strict=True):
        target.copy_(source)


def add_(targets: Sequence[Tensor], others: Sequence[Tensor], *, alpha: float = 1.0, foreach: bool = True) -> None:
    """``target += alpha · other``."""
    here, there = local(targets), local(others)
    if foreach:
        torch._foreach_add_(here, there, alpha=alpha)
        return
    for target, other in zip(here, there, strict=True):
        target.add_(other, alpha=alpha)


def shift_(targets: Sequence[Tensor], by: Tensor) -> None:
    """``target += by``, a scalar tensor."""
    for target in local(targets):
        target.add_(by.to(target.device))


def add_scaled_(targets: Sequence[Tensor], others: Sequence[Tensor], factors: Tensor, *, foreach: bool = True) -> None:
    """``target += factor · other``, with one factor for all, (), or one each, (N,); they stay on the device.

    One by one this needs a single temporary tensor; as a foreach kernel, one of the size of all.
    """
    here, there = local(targets), local(others)
    if foreach:
        torch._foreach_add_(here, torch._foreach_mul(there, _for_kernel(factors, here)))
        return
    for target, other, factor in zip(here, there, _each(factors, here), strict=True):
        target.add_(other * factor)


def scale_(targets: Sequence[Tensor], factors: Tensor, *, foreach: bool = True) -> None:
    """``target *= factor``, with one factor for all, (), or one each, (N,); they stay on the device."""
    here = local(targets)
    if foreach:
        torch._foreach_mul_(here, _for_kernel(factors, here))
        return
    for target, factor in zip(here, _each(factors, here), strict=True):
        target.mul_(factor)


def zero_(targets: Sequence[Tensor], *, foreach: bool = True) -> None:
    """Set to 0, also what is not finite."""
    here = local(targets)
    if foreach:
        torch._foreach_zero_(here)
        return
    for target in here:
        target.zero_()


def clamp_(targets: Sequence[Tensor], bound: float, *, foreach: bool = True) -> None:
    """Bring every entry into [-bound, bound]; nan stays nan."""
    here = local(targets)
    if foreach:
        torch._foreach_clamp_max_(here, bound)
        torch._foreach_clamp_min_(here, -bound)
        return
    for target in here:
        target.clamp_(-bound, bound)


def _each(factors: Tensor, targets: Sequence[Tensor]) -> list[Tensor]:
    """A scalar tensor for each target, where the target is."""
    each = factors.unbind() if factors.ndim else [factors] * len(targets)
    return [factor.to(target.device) for factor, target in zip(each, targets, strict=True)]


def _for_kernel(factors: Tensor, targets: Sequence[Tensor]) -> Tensor | list[Tensor]:
    """As foreach kernels want it: one scalar for all is faster than a list; but in fp16 it would be rounded first."""
    if factors.ndim == 0 and all((t.device, t.dtype) == (factors.device, factors.dtype) for t in targets):
        return factors
    return _each(factors, targets)
