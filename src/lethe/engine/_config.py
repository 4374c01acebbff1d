"""The options that every run has: where, and on what."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from lethe._check import LetheError, non_negative
from lethe._check import seed as check_seed


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Where a run goes and what makes it repeatable."""

    out: str | None = None
    """Run directory, which must not exist; none: runs/RECIPE-DATASET-seedN, numbered if that exists."""
    seed: int = 0
    """Seed of the initial weights, the order of the data, the attacks and the forgetting."""
    device: str = "auto"
    """cpu, cuda, cuda:1, mps; auto: the GPU if there is one."""
    checkpoint_minutes: float = 10.0
    """Save a checkpoint so often within an epoch, too; one is always saved after it."""

    def __post_init__(self) -> None:
        check_seed("seed", self.seed)
        non_negative("checkpoint_minutes", self.checkpoint_minutes)

    def torch_device(self) -> torch.device:
        """The device, checked."""
        if self.device == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        try:
            device = torch.device(self.device)
            torch.zeros(1, device=device).item()
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            raise LetheError(f"device {self.device!r} is not available here: use --device cpu or auto.") from error
        return device
