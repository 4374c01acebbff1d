"""Best, last and the gap between them: how this field reads a training curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class BestLast:
    """Test accuracies in [0, 1] of one model in one run.

    Attributes:
        best: at the epoch that the validation set chose (the first one with its best value).
        best_epoch: that epoch, from 1.
        last: at the last epoch.
        test_best: the best on the test set itself, as much of the literature reports it; it flatters.
    """

    best: float
    best_epoch: int
    last: float
    test_best: float

    @property
    def gap(self) -> float:
        """``best - last``: what went on training has cost. Below 0, the last epoch is the better one."""
        return self.best - self.last


def best_last(records: Sequence[dict[str, Any]], metric: str, prefix: str = "") -> BestLast | None:
    """Read one from a run's records.

    Args:
        records: a line an epoch, with ``{prefix}validation/{metric}`` and ``{prefix}test/{metric}``.
        metric: ``robust`` or ``clean``.
        prefix: ``""`` the working model, ``"stable/"`` the stable one.

    Returns:
        None if no line has this metric.
    """
    validation, test = f"{prefix}validation/{metric}", f"{prefix}test/{metric}"
    measured = [record for record in records if validation in record]
    if not measured:
        return None
    chosen = max(measured, key=lambda record: record[validation])  # max keeps the first of equals
    return BestLast(
        best=chosen[test],
        best_epoch=chosen["epoch"],
        last=measured[-1][test],
        test_best=max(record[test] for record in measured),
    )
