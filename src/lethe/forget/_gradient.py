"""Forget what the loss does not pull at: the weights with the smallest gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from lethe._check import fraction as check_fraction
from lethe.forget._gradients import summed_gradients
from lethe.forget._ranking import lowest_units
from lethe.forget._score import Score
from lethe.forget._select import Select, selected_parameters


def gradient_mask(
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
    """Choose the ``fraction`` of the selected weights with the least gradient norm ``|Σ_batches ∂L/∂w|``.

    Of a channel or layer it is the root mean square of its weights' gradients. Signs count: gradients of batches that
    contradict each other cancel, as in a step of training; where they must not, :func:`lethe.forget.fisher_mask` adds
    squares. The network is looked through in evaluation mode and left as it was.

    Args:
        model: the network.
        batches: pairs of images (B, C, H, W) and labels (B,), anywhere; they are moved to the weights' device.
        fraction: share to forget, in [0, 1]; ``int(fraction · N)`` weights, and those tied with the last.
        select: which parameters are ranked; default: convolutional and linear weights. Frozen ones are left out.
        loss: from logits (B, K) and labels (B,) to a scalar.
        granularity: ``"weights"``, or ``"channels"`` or ``"layers"``, ranked by the mean of their weights' scores.
        count: ``"overall"``, or ``"per-tensor"``: the share of each tensor, ranked by itself.
        ties: at the threshold ``"all"`` go, or the ``"first"`` in the network's order, which makes the count exact.

    Returns:
        ``{parameter name: bool tensor of its shape}``, True = forget (the smallest gradient).

    Raises:
        LetheError: as :func:`lethe.forget.snip_mask`.
    """
    check_fraction("fraction", fraction)
    selected = selected_parameters(model, select)
    totals = summed_gradients(model, selected, batches, loss, lambda gradient: gradient)
    chosen = {name: selected[name] for name in totals}
    # Of single weights the square is ranked as the size is; but it may be 0 where the size is not.
    size = Tensor.abs if granularity == "weights" else Tensor.square
    scores = {name: Score((total,), size) for name, total in totals.items()}
    return lowest_units(model, chosen, scores, fraction, granularity=granularity, count=count, ties=ties)
