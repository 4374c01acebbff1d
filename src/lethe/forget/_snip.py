"""Forget what matters least by SNIP's connection sensitivity: the criterion of LURE."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from lethe._check import fraction as check_fraction
from lethe.forget._gradients import summed_gradients
from lethe.forget._ranking import lowest_units
from lethe.forget._score import Score
from lethe.forget._select import Select, selected_parameters


def snip_mask(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    fraction: float,
    *,
    select: Select = None,
    loss: Callable[[Tensor, Tensor], Tensor] = cross_entropy,
    granularity: str = "weights",
    count: str = "overall",
    ties: str = "all",
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
        select: which parameters are ranked; default: convolutional and linear weights. Frozen ones are left out.
        loss: from logits (B, K) and labels (B,) to a scalar.
        granularity: ``"weights"``, or ``"channels"`` or ``"layers"``, ranked by the mean of their weights' scores.
        count: ``"overall"``, or ``"per-tensor"``: the share of each tensor, ranked by itself.
        ties: at the threshold ``"all"`` go, or the ``"first"`` in the network's order, which makes the count exact.

    Returns:
        ``{parameter name: bool tensor of its shape}``, True = forget (the least salient).

    Raises:
        LetheError: ``fraction`` outside [0, 1], no batch, all selected parameters frozen, a saliency that is not
            finite, an unknown option, or ``select`` matches nothing.

    Where LURE's code and Lethe differ:
        The code ranks every parameter, biases and normalisation too (``select=lethe.forget.everything`` does), and
        always uses the first 100 images of its training set; here the caller chooses the batches.
    """
    check_fraction("fraction", fraction)
    selected = selected_parameters(model, select)
    totals = summed_gradients(model, selected, batches, loss, Tensor.abs)
    chosen = {name: selected[name] for name in totals}
    scores = {name: Score((total, selected[name].detach()), _saliency) for name, total in totals.items()}
    return lowest_units(model, chosen, scores, fraction, granularity=granularity, count=count, ties=ties)


def _saliency(gradient: Tensor, weight: Tensor) -> Tensor:
    return (gradient * weight).abs()
