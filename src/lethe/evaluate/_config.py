"""How a run is evaluated while it trains."""

from __future__ import annotations

from dataclasses import dataclass

from lethe._check import at_least


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """Evaluation between epochs; the last epoch is always evaluated."""

    eval_every: int = 1
    """Evaluate each so many epochs."""
    eval_steps: int = 20
    """PGD steps of the robust accuracy; epsilon and step size are those of training."""
    eval_batch_size: int = 256
    """Images at a time."""

    def __post_init__(self) -> None:
        for name in ("eval_every", "eval_steps", "eval_batch_size"):
            at_least(name, getattr(self, name), 1)
