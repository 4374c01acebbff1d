"""Parameters that are cut over ranks (DTensors, as FSDP2 makes them): act on what lies here, count over all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from lethe.optim._tensors import local, sharded

__all__ = [
    "add_ranks",
    "agreed",
    "before_this_rank",
    "cut",
    "gathered",
    "groups",
    "local",
    "parallel",
    "reshard",
    "sharded",
    "unwrapped",
    "wrap",
]


def unwrapped(model: nn.Module) -> nn.Module:
    """The network within DistributedDataParallel and torch.compile, in either order, or the network itself."""
    *_, innermost = _layers(model)
    return innermost


def parallel(model: nn.Module) -> nn.parallel.DistributedDataParallel | None:
    """The DistributedDataParallel that the network is in, if it is in one."""
    return next((m for m in _layers(model) if isinstance(m, nn.parallel.DistributedDataParallel)), None)


def _layers(model: nn.Module) -> Iterator[nn.Module]:
    """A network, and what is within it as long as that is a wrapper."""
    within: nn.Module | None = model
    while within is not None:
        yield within
        if isinstance(within, nn.parallel.DistributedDataParallel):
            within = within._modules["module"]
        else:  # torch.compile's wrapper is known by this name, since to import its class takes a second
            within = within._modules.get("_orig_mod")


def groups(model: nn.Module) -> list[Any]:
    """The process groups that train this network together, one of each dimension of the mesh; none on one rank."""
    if (wrapper := parallel(model)) is not None:
        found = [wrapper.process_group]
    elif cut_ones := [p for p in model.parameters() if sharded(p)]:
        layout: Any = cut_ones[0]
        found = list(layout.device_mesh.get_all_groups())
    else:
        return []
    return [group for group in found if torch.distributed.get_world_size(group) > 1]


def agreed(model: nn.Module, value: int) -> int:
    """The first rank's ``value``, on all that train this network."""
    sent = torch.tensor(value, device=local([next(model.parameters())])[0].device)
    for group in groups(model):
        torch.distributed.broadcast(sent, torch.distributed.get_global_rank(group, 0), group=group)
    return int(sent)


def reshard(model: nn.Module) -> None:
    """Let FSDP2 show its shards again, which a forward pass without a backward pass leaves gathered.

    Whoever writes into the gathered parameters writes into copies.
    """
    for module in model.modules():
        if callable(again := getattr(module, "reshard", None)) and hasattr(module, "unshard"):
            again()


def cut(whole: Tensor, like: Tensor) -> Tensor:
    """``whole``, which every rank has, laid out as ``like`` and on its device; nothing is sent."""
    if sharded(whole):
        return whole
    if not sharded(like):
        return whole.to(like.device)
    from torch.distributed.tensor import DTensor, Replicate

    layout: Any = like
    everywhere = [Replicate()] * layout.device_mesh.ndim
    there = DTensor.from_local(whole.to(like.device), layout.device_mesh, everywhere, run_check=False)
    return there.redistribute(placements=layout.placements)


def gathered(tensor: Tensor) -> Tensor:
    """The whole of a tensor, on every rank."""
    if not sharded(tensor):
        return tensor
    layout: Any = tensor
    whole: Tensor = layout.full_tensor()
    return whole


def wrap(here: Tensor, like: Tensor) -> Tensor:
    """This rank's part of a tensor, laid out as ``like``."""
    if not sharded(like):
        return here
    from torch.distributed.tensor import DTensor

    layout: Any = like
    return DTensor.from_local(
        here, layout.device_mesh, layout.placements, run_check=False, shape=like.shape, stride=like.stride()
    )


def add_ranks(here: Tensor, like: Tensor) -> Tensor:
    """The sum of ``here`` over the ranks that ``like`` is cut over, in place."""
    for _, group in _cuts(like):
        torch.distributed.all_reduce(here, group=group)
    return here


def before_this_rank(here: int, like: Tensor) -> tuple[int, int]:
    """The sum of ``here`` over the ranks before this one, and over all, of those that ``like`` is cut over."""
    before, total = 0, here
    for coordinate, group in reversed(_cuts(like)):
        mine = torch.tensor([total], device=local([like])[0].device)
        others = [torch.empty_like(mine) for _ in range(torch.distributed.get_world_size(group))]
        torch.distributed.all_gather(others, mine, group=group)
        counts = [int(other) for other in others]
        before, total = before + sum(counts[:coordinate]), sum(counts)
    return before, total


def _cuts(like: Tensor) -> list[tuple[int, Any]]:
    """This rank's place, and its process group, along each dimension of the mesh that ``like`` is cut along."""
    if not sharded(like):
        return []
    layout: Any = like
    mesh = layout.device_mesh
    return [
        (mesh.get_local_rank(dim), mesh.get_group(dim))
        for dim, placement in enumerate(layout.placements)
        if placement.is_shard()
    ]
