"""What an anytime learner is judged by."""

from __future__ import annotations

from collections.abc import Sequence


def cumulative_error(errors: Sequence[float]) -> float:
    """Sum of the test errors after each megabatch: a learner that is good early and late has a small one.

    Args:
        errors: after each megabatch, either counts of misclassified test images (the cumulative error of LURE's
            code is their sum) or rates in [0, 1]; the result has the same unit.
    """
    return sum(errors)
