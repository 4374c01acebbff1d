"""Sums over batches of what a criterion makes of their gradients, without a trace in the network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn

from lethe._check import LetheError
from lethe._guard import evaluation_mode
from lethe._shards import parallel, sharded, unwrapped


def summed_gradients(
    model: nn.Module,
    selected: dict[str, Tensor],
    batches: Iterable[tuple[Tensor, Tensor]],
    loss: Callable[[Tensor, Tensor], Tensor],
    of: Callable[[Tensor], Tensor],
    *,
    per_image: bool = False,
) -> dict[str, Tensor]:
    """``Σ of(gradient)`` over batches, or over images, for each selected parameter that is not frozen.

    One buffer a parameter. Under DDP the sum goes over the ranks' batches as well; under FSDP2 the ranks' batches are
    one batch, whose gradient is the mean of theirs.

    Raises:
        LetheError: all parameters are frozen, or there is no batch.
    """
    chosen = {name: p for name, p in selected.items() if p.requires_grad}
    if not chosen:
        raise LetheError("all selected parameters are frozen (requires_grad is False), so none has a gradient.")
    totals = {name: torch.zeros_like(p, requires_grad=False) for name, p in chosen.items()}
    for gradients in _batch_gradients(unwrapped(model), list(chosen.values()), batches, loss, per_image=per_image):
        for total, gradient in zip(totals.values(), gradients, strict=True):
            if gradient is not None:
                total += of(gradient)
    if (wrapper := parallel(model)) is not None:
        for total in totals.values():
            torch.distributed.all_reduce(total, group=wrapper.process_group)
    return totals


def _batch_gradients(
    model: nn.Module,
    weights: list[Tensor],
    batches: Iterable[tuple[Tensor, Tensor]],
    loss: Callable[[Tensor, Tensor], Tensor],
    *,
    per_image: bool,
) -> Iterator[list[Tensor | None]]:
    """The gradients of each batch, or of each image; the network is in evaluation mode meanwhile."""
    device, seen = weights[0].device, False
    everyone = list(model.parameters())  # now, because FSDP2 shows other ones after a forward pass
    with evaluation_mode(model), torch.enable_grad():
        for x, y in batches:
            for part_x, part_y in zip(torch.split(x, 1), torch.split(y, 1), strict=True) if per_image else [(x, y)]:
                value = loss(model(part_x.to(device)), part_y.to(device))
                if any(sharded(weight) for weight in weights):
                    yield _by_backward(value, weights, everyone)
                else:
                    yield list(torch.autograd.grad(value, weights, allow_unused=True))
                seen = True
    if not seen:
        raise LetheError("there is no batch to measure on: give at least one pair of images and labels.")


def _by_backward(value: Tensor, weights: list[Tensor], everyone: list[nn.Parameter]) -> list[Tensor | None]:
    """FSDP2 hands the gradients of its shards to ``.grad`` alone; what was there is put back."""
    before = [p.grad for p in everyone]
    for p in everyone:
        p.grad = None
    value.backward()  # type: ignore[no-untyped-call]
    found = [weight.grad for weight in weights]
    for p, gradient in zip(everyone, before, strict=True):
        p.grad = gradient
    return found
