"""The labels of any data set."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Subset

from lethe._check import LetheError


def labels_of(dataset: Any, count: int) -> NDArray[np.int64]:
    """The class of each of the ``count`` items, (N,), from ``dataset.targets`` or ``dataset.labels``.

    They are what torchvision's data sets and Lethe's have; of a ``Subset`` those of the set below are taken.

    Raises:
        LetheError: it has neither, or they are not whole numbers, one an item.
    """
    if isinstance(dataset, Subset):
        below = labels_of(dataset.dataset, len(dataset.dataset))  # type: ignore[arg-type]
        return below[np.asarray(dataset.indices, dtype=np.int64)]
    found = getattr(dataset, "targets", None)
    found = getattr(dataset, "labels", None) if found is None else found
    if found is None:
        raise LetheError(
            f"few-shot and balanced megabatches need labels, and {type(dataset).__name__} has neither targets nor "
            "labels: set one of them (dataset.targets = [class of each item])."
        )
    labels = np.asarray(found.cpu() if isinstance(found, Tensor) else found)
    if labels.shape != (count,) or not np.issubdtype(labels.dtype, np.integer):
        raise LetheError(
            f"the labels of {type(dataset).__name__} must be {count} whole numbers, one an item, got "
            f"{labels.dtype} of shape {labels.shape}."
        )
    return labels.astype(np.int64)
