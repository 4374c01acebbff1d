"""How a step is computed: in which precision, in how many parts, by how many devices."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lethe._check import LetheError, at_least, one_of
from lethe.engine._processes import Processes
from lethe.optim import TwoPassOptimizer

DTYPES = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
PRECISIONS = ("auto", *DTYPES)
STRATEGIES = ("ddp", "fsdp2")
Result = tuple[Tensor, Tensor]


@dataclass(frozen=True, kw_only=True)
class ComputeConfig:
    """How a step is computed. What is learned is the same but for rounding, unless an option says otherwise."""

    precision: str = "fp32"
    """fp32; or the network under autocast to bf16 or fp16 (with a gradient scaler), in the attack and in training;
    weights, losses and evaluation stay fp32. auto: bf16 where the device has instructions for it, else fp32."""
    accumulate: int = 1
    """Cut each batch in so many parts, for less memory; batch norm then sees the parts."""
    devices: int = 1
    """Processes on this machine, a device each, that share each batch; under torchrun its own number counts."""
    strategy: str = "ddp"
    """With several devices: ddp (each has all weights) or fsdp2 (each keeps a share of them)."""
    sync_batch_norm: bool = True
    """With several devices: batch norm sees the whole batch; else each device its part, and the first one's running
    statistics are kept."""
    apart: bool = False
    """With several devices and a two-pass optimizer: each perturbs by the gradient of its own part of the batch."""

    def __post_init__(self) -> None:
        one_of("precision", self.precision, PRECISIONS)
        one_of("strategy", self.strategy, STRATEGIES)
        at_least("accumulate", self.accumulate, 1)
        at_least("devices", self.devices, 1)
        if self.apart and self.strategy == "fsdp2":
            raise LetheError("a network in shares cannot be perturbed by each device apart: take strategy ddp.")

    def resolved(self, device: torch.device) -> ComputeConfig:
        """With a precision in place of auto."""
        if self.precision != "auto":
            return self
        return replace(self, precision="bf16" if has_bf16(device) else "fp32")


def has_bf16(device: torch.device) -> bool:
    """Whether a device multiplies in bf16 by instructions of its own; where it does not, a step may take minutes."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type != "cpu":
        return False
    asked = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(bool(ask()) for ask in asked if ask is not None)


@dataclass
class Compute:
    """Computes passes and steps as a :class:`ComputeConfig` says.

    Attributes:
        config: the options.
        processes: this one, and those it works with.
        clip_norm: global norm that the gradients of every pass are clipped to; None: not clipped.
        scaler: of the gradients, with fp16.
    """

    config: ComputeConfig = field(default_factory=ComputeConfig)
    processes: Processes = field(default_factory=Processes)
    clip_norm: float | None = None
    scaler: torch.amp.GradScaler | None = None

    def __post_init__(self) -> None:
        self.config = self.config.resolved(self.processes.device)
        if self.config.precision == "fp16" and self.scaler is None:
            self.scaler = torch.amp.GradScaler(self.processes.device.type)

    @property
    def parts(self) -> int:
        """Into how many parts a batch is cut, over devices and micro-batches."""
        return self.config.accumulate * self.processes.count

    def autocast(self) -> AbstractContextManager[None]:
        """The precision of the network's passes."""
        dtype = DTYPES[self.config.precision]
        if dtype is None:
            return nullcontext()
        return cast("AbstractContextManager[None]", torch.autocast(self.processes.device.type, dtype=dtype))

    def network(self, model: nn.Module) -> nn.Module:
        """What to call in a training pass: the model, in its precision, gradients shared among processes."""
        model = self.processes.wrap(model)
        return model if DTYPES[self.config.precision] is None else _InPrecision(model, self)

    def synchronised(self, network: nn.Module, last: bool) -> AbstractContextManager[object]:
        """Around a micro-batch's passes: processes add up their gradients with the last one alone."""
        if last or self.processes.sharded:
            return nullcontext()
        return self.processes.no_sync(network)()

    def align(self, model: nn.Module) -> None:
        """After a step: the first process's running statistics for all, where batch norm saw each one's part alone."""
        if self.processes.count > 1 and not self.config.sync_batch_norm:
            self.processes.send(list(model.buffers()))

    def backward(self, loss: Tensor) -> None:
        """Add a part's gradients."""
        loss = loss if self.scaler is None else self.scaler.scale(loss)
        loss.backward()  # type: ignore[no-untyped-call]

    def clip(self, model: nn.Module) -> None:
        """Clip the gradients of a pass; with a scaler they are clipped later, when they are unscaled."""
        if self.clip_norm is not None and self.scaler is None:
            nn.utils.clip_grad_norm_(model.parameters(), self.clip_norm)

    def step(
        self,
        optimizer: Optimizer,
        network: nn.Module,
        closure: Callable[[], Result],
        ascend: Callable[[], None] | None = None,
    ) -> Result:
        """Make a step and return what the first call of ``closure`` returned.

        Args:
            optimizer: of torch, or a two-pass one.
            network: as :meth:`network` made it.
            closure: one pass with :meth:`backward` and :meth:`clip`, which zeroes the gradients first.
            ascend: the same for the passes that only find a perturbation; None: ``closure`` does.

        With a scaler a step whose gradients were not finite is left out.
        """
        scaler = self.scaler
        closures: tuple[Callable[[], Any], ...] = (closure,) if ascend is None else (closure, ascend)
        if isinstance(optimizer, TwoPassOptimizer):
            context = self.processes.no_sync(network) if self.config.apart else nullcontext
            if scaler is not None and self.clip_norm is not None:
                optimizer.step_options = replace(optimizer.step_options, clip_norm=self.clip_norm, clip_ascent=True)
            result = optimizer.step(*closures, grad_scaler=scaler, ascent_context=context)
        elif scaler is None:
            # torch types a closure's result as float; it hands back whatever the closure returned.
            return cast("Result", cast("Any", optimizer).step(closure))
        else:
            result = closure()
            if self.clip_norm is not None:
                scaler.unscale_(optimizer)
                nn.utils.clip_grad_norm_([p for g in optimizer.param_groups for p in g["params"]], self.clip_norm)
            scaler.step(optimizer)
        if scaler is not None:
            scaler.update()
            optimizer._opt_called = True  # type: ignore[attr-defined] # which torch's schedulers ask, also after an overflow
        return cast("Result", result)

    def state_dict(self) -> dict[str, Any]:
        """The scaler's state, if there is one."""
        return {} if self.scaler is None else self.scaler.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load what :meth:`state_dict` returned."""
        if self.scaler is not None and state:
            self.scaler.load_state_dict(state)


class _InPrecision(nn.Module):
    """A network under autocast, from fp32 images to fp32 logits.

    Images are not rounded before they enter: a perturbation of some 255ths is as fine as bf16's steps near 1.
    """

    def __init__(self, network: nn.Module, compute: Compute) -> None:
        super().__init__()
        self.network, self._compute = network, compute

    def forward(self, images: Tensor) -> Tensor:
        with self._compute.autocast():
            logits: Tensor = self.network(images)
        return logits.float()

    @property
    def no_sync(self) -> Callable[[], AbstractContextManager[object]]:
        """DDP's own contexts."""
        return cast("Callable[[], AbstractContextManager[object]]", self.network.no_sync)
