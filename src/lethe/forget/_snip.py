"""Forget what matters least by SNIP's connection sensitivity: the criterion of LURE."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from lethe._check import LetheError
from lethe._check import fraction as check_fraction
from lethe._guard import evaluation_mode
from lethe.forget._select import Select, selected_parameters


def snip_mask(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    fraction: float,
    *,
    select: Select = None,
    loss: Callable[[Tensor, Tensor], Tensor] = cross_entropy,
) -> dict[str, Tensor]:
    """Choose the ``fraction`` of the selected weights with the least saliency ``|w · Σ_batches |∂L/∂w||``.

    One ranking over all selected tensors together (Lee et al., ICLR 2019; LURE's ``pruning.py``). The threshold is
    the ``int(fraction · N)``-th smallest of the N saliencies, and everything at or under it is chosen: ties at the
    threshold all go, so weights that no image reaches (saliency 0) may make the share larger than ``fraction``.

    The network is looked through in evaluation mode and left as it was: modes, gradients, batch statistics.

    Args:
        model: the network.
        batches: pairs of images (B, C, H, W) and labels (B,), anywhere; they are moved to the weights' device.
        fraction: share to forget, in [0, 1]. LURE: 0.2.
        select: which parameters are ranked; default: convolutional and linear weights.
        loss: from logits (B, K) and labels (B,) to a scalar.

    Returns:
        ``{parameter name: bool tensor of its shape}``, True = forget (the least salient).

    Raises:
        LetheError: ``fraction`` outside [0, 1], no batch, or ``select`` matches nothing.

    Where LURE's code and Lethe differ:
        The code ranks every parameter, biases and normalisation too (``select=lethe.forget.everything`` does), and
        always uses the first 100 images of the first megabatch; here the caller chooses the batches.
    """
    check_fraction("fraction", fraction)
    chosen = {name: p for name, p in selected_parameters(model, select).items() if p.requires_grad}
    if not chosen:
        raise LetheError("all selected parameters are frozen (requires_grad is False), so none has a saliency.")
    names, parameters = list(chosen), list(chosen.values())
    totals = [torch.zeros_like(p) for p in parameters]
    device, seen = parameters[0].device, 0
    with evaluation_mode(model), torch.enable_grad():
        for x, y in batches:
            value = loss(model(x.to(device)), y.to(device))
            for total, gradient in zip(totals, torch.autograd.grad(value, parameters, allow_unused=True), strict=True):
                if gradient is not None:
                    total += gradient.abs()
            seen += 1
    if seen == 0:
        raise LetheError("snip_mask got no batch: give it at least one pair of images and labels.")
    saliency = [(t * p.detach()).abs() for t, p in zip(totals, parameters, strict=True)]
    if not all(bool(s.isfinite().all()) for s in saliency):
        raise LetheError("the saliency is not finite: the loss, or the network, has diverged on these batches.")
    count = int(fraction * sum(s.numel() for s in saliency))
    if count == 0:
        return {name: torch.zeros_like(p, dtype=torch.bool) for name, p in chosen.items()}
    threshold = torch.cat([s.flatten() for s in saliency]).kthvalue(count).values
    return {name: s <= threshold for name, s in zip(names, saliency, strict=True)}
