"""How a run is evaluated while it trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lethe._check import at_least, fraction


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """Evaluation between epochs; the last epoch is always evaluated."""

    eval_every: int = 1
    """Evaluate each so many epochs."""
    eval_steps: int = 20
    """PGD steps of the robust accuracy; epsilon and step size are those of training."""
    eval_early_stop: bool = False
    """Attack an image no further once the network is wrong about it: a fraction of the cost, since many are at once.
    An image counts as fooled where any step fools the network, not the last one alone."""
    eval_batch_size: int = 256
    """Images at a time."""
    stop_patience: int | None = None
    """Stop early, after so many evaluations in a row without a better validation accuracy (robust, if there is an
    attack) of the model or of its stable model; none: train to the end."""
    stop_delta: float = 0.0
    """How much better counts, as a share of the images."""

    def __post_init__(self) -> None:
        for name in ("eval_every", "eval_steps", "eval_batch_size"):
            at_least(name, getattr(self, name), 1)
        if self.stop_patience is not None:
            at_least("stop_patience", self.stop_patience, 1)
        fraction("stop_delta", self.stop_delta)

    def stops_early(self, accuracies: Sequence[float]) -> bool:
        """Whether training shall stop after these, of every evaluation so far: the better of the two models each."""
        if self.stop_patience is None:
            return False
        best, since = -1.0, 0
        for accuracy in accuracies:
            better = accuracy > best + (self.stop_delta if best >= 0 else 0.0)
            best, since = (accuracy, 0) if better else (best, since + 1)
        return since >= self.stop_patience
