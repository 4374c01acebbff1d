"""A residual network small enough to train on two cores."""

from __future__ import annotations

from collections.abc import Sequence

from lethe._check import at_least
from lethe.models._preact_resnet import PreActResNet


class SmallResNet(PreActResNet):
    """One pre-activation block in each of three stages of ``width``, 2·``width`` and 4·``width`` channels.

    Args:
        width: channels of the first stage. 32 has 0.31 million parameters.
        classes: number of classes.
        mean: of each channel of the data, of images in [0, 1].
        std: likewise.
        drop: dropout before each block's second convolution and before the head.
    """

    def __init__(
        self, width: int, classes: int, mean: Sequence[float], std: Sequence[float], drop: float = 0.0
    ) -> None:
        at_least("width", width, 1)
        super().__init__((width, 2 * width, 4 * width), (1, 1, 1), classes, mean, std, drop)
