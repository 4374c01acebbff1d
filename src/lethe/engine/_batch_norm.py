"""Batch norm that sees the whole batch, of which each process has a part."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from lethe._check import LetheError


def synchronise_batch_norm(model: nn.Module) -> nn.Module:
    """Let every batch norm take its statistics over all processes; parameters and buffers stay the same.

    On a GPU through torch's ``SyncBatchNorm``; that refuses the CPU, where :class:`WholeBatchNorm2d` does the same.

    Raises:
        LetheError: a batch norm of another kind, such as one with an activation inside, which would get lost.
    """
    for name, module in model.named_modules():
        if isinstance(module, _BatchNorm) and type(module) not in _WHOLE:
            raise LetheError(
                f"{name!r}, a {type(module).__name__}, cannot see the whole batch of several devices: add "
                "--no-sync-batch-norm, or take another --model."
            )
    if any(p.device.type == "cuda" for p in model.parameters()):
        return cast("nn.Module", nn.SyncBatchNorm.convert_sync_batchnorm(model))  # type: ignore[no-untyped-call]
    for module in model.modules():
        if type(module) in _WHOLE:
            module.__class__ = _WHOLE[type(module)]
    return model


class _WholeBatch(_BatchNorm):
    """Statistics over all processes while training; in evaluation mode the usual batch norm."""

    whole_batch = True
    """By which whoever measures statistics knows it (:class:`lethe.consolidate.MeasuredStatistics`)."""

    def forward(self, x: Tensor) -> Tensor:
        if not (self.training or self.running_mean is None):
            return super().forward(x)
        others = [at for at in range(x.ndim) if at != 1]
        wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        # The number of values travels with their sum.
        totals = _sum(torch.cat((wide.sum(others), wide.new_tensor([x.numel() / x.shape[1]]))))
        count = totals[-1].detach()
        # The mean first, and the variance around it: in one go it would be a difference of large numbers.
        mean = totals[:-1] / count
        shape = [1, -1] + [1] * (x.ndim - 2)
        centred = wide - mean.view(shape)
        variance = _sum(centred.square().sum(others)) / count
        if self.training and self.running_mean is not None and self.running_var is not None:
            self._move(mean.detach(), variance.detach() * (count / (count - 1)))
        scaled = centred * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            scaled = scaled * self.weight.view(shape) + self.bias.view(shape)
        return scaled.to(x.dtype)

    def _move(self, mean: Tensor, variance: Tensor) -> None:
        """The running statistics."""
        assert self.running_mean is not None and self.running_var is not None  # noqa: S101, PT018 - by the caller
        share = self.momentum
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if share is None:
                share = 1.0 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), float(share or 0.0))
        self.running_var.lerp_(variance.to(self.running_var.dtype), float(share or 0.0))


class _Sum(torch.autograd.Function):
    """Over all processes; of the gradient, too."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        torch.distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        total = gradients[0].clone()
        torch.distributed.all_reduce(total)
        return total


def _sum(values: Tensor) -> Tensor:
    return cast("Tensor", _Sum.apply(values))


class WholeBatchNorm1d(_WholeBatch, nn.BatchNorm1d):
    """Of (B, C) or (B, C, L)."""


class WholeBatchNorm2d(_WholeBatch, nn.BatchNorm2d):
    """Of (B, C, H, W)."""


_WHOLE: dict[type[nn.Module], type[nn.Module]] = {
    nn.BatchNorm1d: WholeBatchNorm1d,
    nn.BatchNorm2d: WholeBatchNorm2d,
}
