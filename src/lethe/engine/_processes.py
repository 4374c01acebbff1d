"""The processes of a run, one a device, and what they say to each other: nothing, where there is one."""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from lethe import _launched
from lethe._check import LetheError, ToldError
from lethe.engine._batch_norm import synchronise_batch_norm
from lethe.engine._fsdp2 import shard

T = TypeVar("T")


class Processes:
    """This process alone.

    Attributes:
        rank: of this process, from 0; the first writes the files and speaks to the user.
        count: how many there are.
        sharded: whether each keeps only a share of the weights.
        device: of this process.
    """

    rank: int = 0
    count: int = 1
    sharded: bool = False

    def __init__(self, device: torch.device | None = None) -> None:
        self.device = torch.device("cpu") if device is None else device

    @property
    def first(self) -> bool:
        """Whether this is the one that writes and speaks."""
        return self.rank == 0

    def prepare(self, model: nn.Module, *, sync_batch_norm: bool) -> nn.Module:
        """Make the model one of all processes, before its optimizer is built."""
        return model

    def wrap(self, model: nn.Module) -> nn.Module:
        """The network to call in training passes, whose gradients are those of the whole batch."""
        return model

    def no_sync(self, network: nn.Module) -> Callable[[], AbstractContextManager[object]]:
        """Contexts in which a backward pass of ``network``, as :meth:`wrap` made it, stays within this process."""
        return nullcontext

    def sum(self, value: Tensor) -> Tensor:
        """The sum over processes."""
        return value

    def send(self, values: list[Tensor]) -> None:
        """Write the first process's values into those of the others."""

    def agree(self, *flags: bool) -> tuple[bool, ...]:
        """Each flag, true if it is true in any process."""
        return flags

    def gather(self, value: T) -> list[T]:
        """The value of each process, in order of rank."""
        return [value]

    def share(self, make: Callable[[], T]) -> T:
        """What ``make`` returns in the first process, to all; a :class:`LetheError` that it raises, too."""
        return make()

    def in_turn(self, make: Callable[[], T]) -> T:
        """What ``make`` returns in each, the first process before the others, which find what it has fetched."""
        return make()


class FabricProcesses(Processes):
    """Several processes on one machine or more, through Lightning Fabric, which starts them or finds torchrun's.

    Fabric's precision is not used: it would round images to bf16 before the network normalises them.
    """

    def __init__(self, device: torch.device, devices: int, strategy: str) -> None:
        """Start them, where torchrun has not, or join them.

        Raises:
            LetheError: there are not as many devices.
        """
        from lightning_fabric import Fabric
        from lightning_fabric.strategies.ddp import DDPStrategy

        if ":" in str(device):
            raise LetheError(f"several devices are the first ones, not from {device} on: write --device {device.type}.")
        logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it has a banner
        here, nodes = devices, 1
        if "TORCHELASTIC_RUN_ID" in os.environ:  # torchrun has decided
            here = int(os.environ["LOCAL_WORLD_SIZE"])
            nodes = _launched.count() // here
        self.sharded = strategy == "fsdp2"
        try:
            # Running statistics are alike in all processes, or sent once a step: no need to send them with each pass.
            newer = "forward_sync_buffers" in inspect.signature(nn.parallel.DistributedDataParallel).parameters
            still: dict[str, Any] = {"forward_sync_buffers" if newer else "broadcast_buffers": False}
            how = DDPStrategy(**still)
            self._fabric = Fabric(accelerator=device.type, devices=here, num_nodes=nodes, strategy=how)
        except Exception as error:
            raise LetheError(f"{here} devices of kind {device.type} cannot be had here: {error}") from error
        self._fabric.launch()
        self.rank, self.count, self.device = self._fabric.global_rank, self._fabric.world_size, self._fabric.device
        # Flags go from host to host: to ask a GPU for them would make the host wait for it in each step.
        self._hosts: Any = torch.distributed.new_group(backend="gloo") if self.device.type == "cuda" else None

    def prepare(self, model: nn.Module, *, sync_batch_norm: bool) -> nn.Module:
        """Batch norm over all processes, and each one's share of the weights."""
        model = synchronise_batch_norm(model) if sync_batch_norm else model
        return shard(model.to(memory_format=torch.contiguous_format)) if self.sharded else model

    def wrap(self, model: nn.Module) -> nn.Module:
        """DDP; a sharded network sums its gradients by itself."""
        return model if self.sharded else self._fabric.strategy.setup_module(model)

    def no_sync(self, network: nn.Module) -> Callable[[], AbstractContextManager[object]]:
        """DDP's own."""
        return cast("Callable[[], AbstractContextManager[object]]", network.no_sync)

    def sum(self, value: Tensor) -> Tensor:
        """The sum over processes, a new tensor."""
        total = value.clone()
        torch.distributed.all_reduce(total)
        return total

    def send(self, values: list[Tensor]) -> None:
        """Write the first process's values into those of the others."""
        for value in values:
            torch.distributed.broadcast(value, src=0)

    def agree(self, *flags: bool) -> tuple[bool, ...]:
        """Each flag, true if it is true in any process."""
        votes = torch.tensor([int(flag) for flag in flags])
        torch.distributed.all_reduce(votes, op=torch.distributed.ReduceOp.MAX, group=self._hosts)
        return tuple(bool(vote) for vote in votes.tolist())

    def gather(self, value: T) -> list[T]:
        """The value of each process, in order of rank."""
        found: list[Any] = [None] * self.count
        torch.distributed.all_gather_object(found, value, group=self._hosts)
        return found

    def share(self, make: Callable[[], T]) -> T:
        """What ``make`` returns in the first process, to all; a :class:`LetheError` that it raises, too."""
        answer: list[Any] = [None, None]
        if self.first:
            try:
                answer[0] = make()
            except LetheError as error:
                answer[1] = str(error)
        torch.distributed.broadcast_object_list(answer, src=0, group=self._hosts)
        if answer[1] is not None:
            raise LetheError(answer[1]) if self.first else ToldError(answer[1])
        return cast("T", answer[0])

    def in_turn(self, make: Callable[[], T]) -> T:
        """What ``make`` returns in each, the first process before the others, which find what it has fetched."""
        made: list[T] = []
        self.share(lambda: made.append(make()))
        return made[0] if made else make()


def processes(device: torch.device, devices: int = 1, strategy: str = "ddp") -> Processes:
    """This process alone, or, with several devices or under torchrun, all of a run."""
    if devices > 1 or _launched.count() > 1:
        return FabricProcesses(device, devices, strategy)
    return Processes(device)
