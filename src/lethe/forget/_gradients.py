"""Gradients of a loss over batches, without a trace in the network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn

from lethe._check import LetheError
from lethe._guard import evaluation_mode


def batch_gradients(
    model: nn.Module,
    parameters: dict[str, Tensor],
    batches: Iterable[tuple[Tensor, Tensor]],
    loss: Callable[[Tensor, Tensor], Tensor],
    *,
    per_image: bool = False,
) -> Iterator[list[Tensor]]:
    """Yield the gradients of each batch, or of each image, in the order of ``parameters``; zeros where there is none.

    The network is looked through in evaluation mode and left as it was: modes, gradients, batch statistics.

    Raises:
        LetheError: all parameters are frozen, or there is no batch.
    """
    if not any(p.requires_grad for p in parameters.values()):
        raise LetheError("all selected parameters are frozen (requires_grad is False), so none has a gradient.")
    weights = [p for p in parameters.values() if p.requires_grad]
    device, seen = weights[0].device, False
    with evaluation_mode(model), torch.enable_grad():
        for x, y in batches:
            for part_x, part_y in zip(torch.split(x, 1), torch.split(y, 1), strict=True) if per_image else [(x, y)]:
                value = loss(model(part_x.to(device)), part_y.to(device))
                found = iter(torch.autograd.grad(value, weights, allow_unused=True))
                gradients = [next(found) if p.requires_grad else None for p in parameters.values()]
                yield [
                    torch.zeros_like(p) if g is None else g for p, g in zip(parameters.values(), gradients, strict=True)
                ]
                seen = True
    if not seen:
        raise LetheError("there is no batch to measure on: give at least one pair of images and labels.")
