"""A labelled set of small images, as two tensors."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset


@dataclass(frozen=True)
class ImageSet(Dataset[tuple[Tensor, Tensor]]):
    """Images and labels on one device; also a map-style data set of single pairs.

    Attributes:
        images: (N, C, H, W), uint8 in 0..255 or floating point in [0, 1].
        labels: (N,), int64.
        classes: number of classes.
    """

    images: Tensor
    labels: Tensor
    classes: int

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return as_float(self.images[index]), self.labels[index]

    @property
    def shape(self) -> tuple[int, ...]:
        """Channels, height and width of an image."""
        return tuple(self.images.shape[1:])

    def subset(self, indices: Tensor | list[int]) -> ImageSet:
        """The images at these positions, copied."""
        at = torch.as_tensor(indices, dtype=torch.long, device=self.labels.device)
        return replace(self, images=self.images[at], labels=self.labels[at])

    def relabelled(self, labels: Tensor) -> ImageSet:
        """The same images under other labels, (N,)."""
        return replace(self, labels=labels)

    def to(self, device: torch.device | str) -> ImageSet:
        """The set on another device."""
        return replace(self, images=self.images.to(device), labels=self.labels.to(device))

    def pooled(self, size: int) -> ImageSet:
        """The images average-pooled to ``size`` × ``size``, as floating point."""
        return replace(self, images=F.adaptive_avg_pool2d(as_float(self.images), size))


def as_float(images: Tensor) -> Tensor:
    """Images in [0, 1] as float32, whether stored so or as bytes."""
    return images.float() / 255 if images.dtype == torch.uint8 else images
