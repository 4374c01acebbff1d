"""Everything that training moves, and therefore everything that a checkpoint holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lethe._check import LetheError
from lethe.engine._compute import Compute
from lethe.engine._epoch_progress import EpochProgress
from lethe.engine._fsdp2 import optimizer_shares_of, shares_of, whole
from lethe.engine._method import WeightMethod
from lethe.objectives import Objective


@dataclass
class Training:
    """Everything that training moves.

    Attributes:
        model: the working network.
        optimizer: any torch optimizer whose ``step`` takes a closure.
        scheduler: stepped after every step of the optimizer.
        objective: makes batches ready and turns them into a loss.
        method: what else acts on the weights.
        generators: the run's random streams; the loop draws from ``data`` and ``attack``.
        compute: in which precision, in how many parts, by how many devices.
        epoch: finished epochs.
        progress: of the epoch that is under way; None between epochs.
        network: the model as it is called in training passes.
    """

    model: nn.Module
    optimizer: Optimizer
    scheduler: LRScheduler
    objective: Objective
    method: WeightMethod
    generators: dict[str, torch.Generator]
    compute: Compute = field(default_factory=Compute)
    epoch: int = 0
    progress: EpochProgress | None = None
    network: nn.Module = field(init=False)

    def __post_init__(self) -> None:
        if self.objective.whole_batch and self.compute.parts > 1:
            raise LetheError(
                f"{type(self.objective).__name__} needs whole batches: set accumulate to 1, and use one device."
            )
        self.network = self.compute.network(self.model)

    def state_dict(self) -> dict[str, Any]:
        """The state, made of tensors, numbers and strings alone; with several processes all call it.

        What each process keeps a share of is put together, so that any number of them can go on from it.
        """
        processes = self.compute.processes
        state: dict[str, Any] = {
            "epoch": self.epoch,
            "progress": None if self.progress is None else self.progress.state_dict(processes.sum),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "method": self.method.state_dict(),
            "compute": self.compute.state_dict(),
            "generators": {name: g.get_state() for name, g in self.generators.items()},
            "torch_generators": processes.gather(self._torch_generators()),
            "sharded": processes.sharded,
        }
        if processes.sharded:
            state = whole(state)
        return state

    def load_state_dict(self, state: dict[str, Any]) -> bool:
        """Load what :meth:`state_dict` returned.

        Returns:
            Whether training goes on to the bit; with another number of processes, or other shares, it does not.
        """
        processes = self.compute.processes
        self.epoch = int(state["epoch"])
        device = next(self.model.parameters()).device
        progress = state.get("progress")  # which checkpoints of version 0.1.0 do not have
        self.progress = None if progress is None else EpochProgress.from_state(progress, device, ours=processes.first)
        model, method, optimizer = state["model"], state["method"], state["optimizer"]
        if processes.sharded:
            model = shares_of(model, self.model.state_dict())
            method = shares_of(method, self.method.state_dict())
            optimizer = optimizer_shares_of(optimizer, self.optimizer)
        self.model.load_state_dict(model)
        self.optimizer.load_state_dict(optimizer)
        self.scheduler.load_state_dict(state["scheduler"])
        if self.progress is not None and "milestones" in state["scheduler"]:  # of a checkpoint that counted epochs
            self.scheduler.last_epoch += self.progress.batches
        if self.progress is not None and self.progress.batches:
            # The epoch's steps were made before the stop: torch shall not warn of a schedule that moves without any.
            self.optimizer._opt_called = True  # type: ignore[attr-defined]
        self.method.load_state_dict(method)
        self.compute.load_state_dict(state.get("compute", {}))
        for name, generator in self.generators.items():
            generator.set_state(state["generators"][name])
        kept = state["torch_generators"]
        kept = [kept] if isinstance(kept, dict) else kept  # version 0.1.0 had one process
        self._set_torch_generators(kept[processes.rank % len(kept)])
        return len(kept) == processes.count and state.get("sharded", False) == processes.sharded

    def _torch_generators(self) -> dict[str, Tensor]:
        """Of torch's own generators, which dropout draws from."""
        states = {"cpu": torch.get_rng_state()}
        device = next(self.model.parameters()).device
        if device.type == "cuda":
            states["cuda"] = torch.cuda.get_rng_state(device)
        return states

    def _set_torch_generators(self, states: dict[str, Tensor]) -> None:
        torch.set_rng_state(states["cpu"])
        device = next(self.model.parameters()).device
        if device.type == "cuda" and "cuda" in states:
            torch.cuda.set_rng_state(states["cuda"], device)
