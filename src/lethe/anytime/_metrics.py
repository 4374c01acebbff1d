"""What an anytime learner is judged by."""

from __future__ import annotations

from collections.abc import Sequence

from lethe._check import LetheError


def cumulative_error(errors: Sequence[float]) -> float:
    """Sum of the test errors after each megabatch: a learner that is good early and late has a small one.

    Args:
        errors: after each megabatch, either counts of misclassified test images (the cumulative error of LURE's
            code is their sum) or rates in [0, 1]; the result has the same unit.
    """
    return sum(errors)


def learning_speed(accuracies: Sequence[float]) -> float:
    """How early a learner is good within a megabatch: the area under its validation accuracy, in [0, 1].

    The curve is a step an epoch and the megabatch is as wide as 1, so the area is the mean over epochs: a learner that
    is at its best after the first epoch has its best accuracy, one that gets there halfway has less.

    Args:
        accuracies: on validation images after each epoch of the megabatch, in [0, 1], at least one.

    This definition is ours. LURE's paper reports a learning speed, but its code has none, and how the paper defines it
    could not be read.
    """
    if not accuracies:
        raise LetheError("learning_speed needs the accuracy after each epoch: at least one.")
    return sum(accuracies) / len(accuracies)


def generalisation_gap(train: float, validation: float) -> float:
    """Training minus validation accuracy of the same epoch, as LURE's code logs it: what was learnt by heart.

    Args:
        train: accuracy in [0, 1] over the epoch's steps, on images as they are trained on, augmented or attacked, with
            batch norm in training mode; so it lags behind the weights at the epoch's end.
        validation: after the epoch, in [0, 1].
    """
    return train - validation
