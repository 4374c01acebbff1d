"""The images of all megabatches that have arrived, of which those are kept that are still trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from lethe.anytime._megabatch_file import Arrays


@dataclass(frozen=True)
class _Kept:
    """Some rows of a file, in ascending order, and what is in them."""

    rows: NDArray[np.int64]
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def has(self, rows: NDArray[np.int64]) -> bool:
        return bool(np.isin(rows, self.rows).all())

    def at(self, rows: NDArray[np.int64]) -> Arrays:
        places = np.searchsorted(self.rows, rows)
        return self.images[places], self.labels[places]


class ArrivedSet(Dataset[tuple[Tensor, Tensor]]):
    """Images by a number that counts through all megabatches.

    An item is an image (C, H, W), float32 in [0, 1], and its label. Images that were let go of are read again.

    Args:
        read: the arrays of the so manieth megabatch, from its file.
    """

    def __init__(self, read: Callable[[int], Arrays]) -> None:
        self._read = read
        self._begins = [0]
        self._kept: dict[int, _Kept] = {}

    def __len__(self) -> int:
        return self._begins[-1]

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        images, labels = self.gather([index])
        return images[0].float() / 255, labels[0]

    def append(self, count: int, arrays: Arrays | None = None) -> NDArray[np.int64]:
        """Count in a megabatch of so many images, and return their numbers; without its arrays it is read later."""
        begin = len(self)
        self._begins.append(begin + count)
        if arrays is not None:
            self._kept[len(self._begins) - 2] = _Kept(np.arange(count), *arrays)
        return np.arange(begin, begin + count)

    def keep(self, indices: Sequence[int]) -> None:
        """Let go of all images but these."""
        wanted = self._by_file(np.unique(np.asarray(indices, dtype=np.int64)))
        for file in list(self._kept):
            kept, rows = self._kept[file], wanted.get(file)
            if rows is None:
                del self._kept[file]
            elif len(rows := rows[np.isin(rows, kept.rows)]) < len(kept.rows):
                self._kept[file] = _Kept(rows, *kept.at(rows))

    def gather(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Images (N, C, H, W), uint8, and labels (N,), int64, at these numbers.

        Raises:
            LetheError: a file that has to be read again is gone, or has changed.
        """
        at = np.asarray(indices, dtype=np.int64)
        files = np.searchsorted(self._begins, at, side="right") - 1
        images: NDArray[np.uint8] | None = None
        labels = np.empty(len(at), dtype=np.int64)
        for file, rows in self._by_file(at).items():
            kept = self._kept.get(file)
            if kept is None or not kept.has(rows):
                whole, theirs = self._read(file)
                both = np.unique(rows if kept is None else np.concatenate((rows, kept.rows)))
                self._kept[file] = _Kept(both, whole[both], theirs[both])
            found, labels[files == file] = self._kept[file].at(rows)
            if images is None:
                images = np.empty((len(at), *found.shape[1:]), dtype=np.uint8)
            images[files == file] = found
        if images is None:
            return torch.empty(0, dtype=torch.uint8), torch.empty(0, dtype=torch.long)
        return torch.from_numpy(images), torch.from_numpy(labels)

    def _by_file(self, at: NDArray[np.int64]) -> dict[int, NDArray[np.int64]]:
        """Of each megabatch that has any of these images, the rows, as often as they are asked for."""
        files = np.searchsorted(self._begins, at, side="right") - 1
        return {int(file): at[files == file] - self._begins[int(file)] for file in np.unique(files)}
