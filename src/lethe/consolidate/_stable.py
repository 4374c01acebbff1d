"""The stable model: an exponential moving average of a network's weights."""

from __future__ import annotations

import copy
from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from lethe._check import LetheError, fraction, one_of
from lethe._shards import local, parallel, reshard, sharded, unwrapped

RAMPS = ("even", "slow", "none")
STATISTICS = ("average", "copy", "leave")
RUNNING = ("running_mean", "running_var")
"""What batch norm calls its statistics."""


class StableModel:
    """An exponential moving average (EMA) of a network, in evaluation mode and without gradients.

    Update number t (from 0) is ``stable ← d·stable + (1 − d)·working`` with ``d = min(decay, 1 − 1/(t + 1))``: the
    first update copies, the early ones average evenly, so that the random start does not linger. With ``decay`` 1
    it is the even average of all updates, as in stochastic weight averaging.

    Batch norm's running statistics are averaged with the weights; other buffers (its batch counter, a mask, a table of
    positions) are copied. FOMO does not say what it does with the statistics; CURE's code leaves them alone, which
    makes a stable model with the statistics of the start. To measure them instead, see
    :func:`lethe.consolidate.recompute_statistics` and :class:`lethe.consolidate.MeasuredStatistics`.

    Args:
        model: the network to average; a deep copy of it is made, of what is within DistributedDataParallel if it is.
        decay: in [0, 1]. 0 follows the working model, 1 keeps the even average of all updates.
        module: a ready copy to move instead of one made here. FSDP2 needs it, whose modules cannot be deep-copied:
            build and shard the network twice, with the same values.
        ramp: of the decay: ``"even"``: as above; ``"slow"``: ``min(decay, (1 + t)/(10 + t))``, in which the start has
            some weight; ``"none"``: ``decay`` from the first update on.
        statistics: buffers called ``running_mean`` and ``running_var``: ``"average"``, ``"copy"`` the working model's,
            or ``"leave"`` batch norm's to whoever measures them, and average those of other norms. It may be set anew
            between updates.

    Attributes:
        module: the stable model.
        updates: how many were made.

    Raises:
        LetheError: an option out of range, weights in half precision, a sharded ``model`` without ``module``, or a
            ``module`` of other parameters.
    """

    def __init__(
        self,
        model: nn.Module,
        decay: float,
        module: nn.Module | None = None,
        *,
        ramp: str = "even",
        statistics: str = "average",
    ) -> None:
        self.decay = fraction("decay", decay)
        self.ramp, self.statistics = one_of("ramp", ramp, RAMPS), one_of("statistics", statistics, STATISTICS)
        whole, model = model, unwrapped(model)
        reshard(model)
        if any(p.dtype in (torch.float16, torch.bfloat16) for p in model.parameters()):
            raise LetheError(
                "a moving average of half-precision weights stands still, since its steps round to nothing: keep the "
                "weights in fp32 and use autocast."
            )
        if module is None:
            if any(sharded(p) for p in model.parameters()):
                raise LetheError(
                    "a sharded network cannot be copied: build and shard it twice, and give the second as the stable "
                    "model's module."
                )
            module = _copied(whole)
        mine, theirs = ([t.shape for t in _tensors(m)] for m in (module, model))
        if mine != theirs:
            raise LetheError("the stable model's module has other parameters or buffers than the model it averages.")
        self.updates = 0
        self.module = module.eval().requires_grad_(False)
        norms = [prefix for prefix, layer in module.named_modules() if isinstance(layer, _BatchNorm)]
        self._of_batch_norm = {f"{prefix}.{name}" if prefix else name for prefix in norms for name in RUNNING}

    @torch.no_grad()
    def update(self, model: nn.Module, leave: Collection[int] = ()) -> None:
        """Move the stable model towards ``model``.

        Args:
            model: the working model.
            leave: ids of buffers of the stable model that stay as they are.
        """
        self._move(model, 1.0 - self._keep(), leave)
        self.updates += 1

    @torch.no_grad()
    def follow(self, model: nn.Module) -> None:
        """Become a copy of ``model``; this is no update."""
        self._move(model, 1.0)

    def _keep(self) -> float:
        t = self.updates
        ramps = {"even": 1.0 - 1.0 / (t + 1), "slow": (1.0 + t) / (10.0 + t), "none": 1.0}
        return min(self.decay, ramps[self.ramp])

    def _move(self, model: nn.Module, share: float, leave: Collection[int] = ()) -> None:
        model = unwrapped(model)
        reshard(self.module)
        reshard(model)
        averaged: tuple[list[Tensor], list[Tensor]] = ([], [])
        copied: tuple[list[Tensor], list[Tensor]] = ([], [])
        weights = self.module.parameters()
        moved = [
            *((mine, "average" if mine.dtype.is_floating_point or mine.is_complex() else "copy") for mine in weights),
            *((mine, self._how(name)) for name, mine in self.module.named_buffers()),
        ]
        working = _tensors(model)
        if len(working) != len(moved):
            raise LetheError(
                f"the working model has {len(working)} parameters and buffers, its copy {len(moved)}: let it see a "
                "batch before the stable model is made, so that it has all of them."
            )
        for (mine, how), theirs in zip(moved, working, strict=True):
            if how != "leave" and id(mine) not in leave:
                # With a share of 1 what was there counts for nothing, also where it is no number.
                into = averaged if how == "average" and share < 1.0 else copied
                into[0].append(mine)
                into[1].append(theirs.detach())
        if averaged[0]:
            torch._foreach_lerp_(local(averaged[0]), local(averaged[1]), share)
        for mine, theirs in zip(local(copied[0]), local(copied[1]), strict=True):
            mine.copy_(theirs)

    def _how(self, name: str) -> str:
        """What is done with a buffer: an average of masks, which hold infinities, would be no number."""
        if name.rpartition(".")[2] not in RUNNING:
            return "copy"
        # Nobody measures those of other norms than batch norm.
        return "average" if self.statistics == "leave" and name not in self._of_batch_norm else self.statistics

    def state_dict(self) -> dict[str, Any]:
        """Weights, buffers and the number of updates."""
        return {"module": unwrapped(self.module).state_dict(), "updates": self.updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load what :meth:`state_dict` returned."""
        weights = {name.removeprefix("_orig_mod."): value for name, value in state["module"].items()}
        unwrapped(self.module).load_state_dict(weights)
        self.updates = int(state["updates"])


def _copied(model: nn.Module) -> nn.Module:
    """A copy, compiled if the network is, of what DistributedDataParallel holds."""
    while isinstance(model, nn.parallel.DistributedDataParallel):
        model = model.module
    try:
        return copy.deepcopy(model if parallel(model) is None else unwrapped(model))
    except RuntimeError as error:
        raise LetheError(
            f"this {type(model).__name__} cannot be copied ({str(error).splitlines()[0]}): take the weight and "
            "spectral norms of torch.nn.utils.parametrizations, or make pruning permanent, before it is averaged."
        ) from error


def _tensors(model: nn.Module) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]
