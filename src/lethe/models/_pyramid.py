"""Pyramidal networks: every block is a little wider than the one before."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from lethe._check import LetheError
from lethe.models._layers import dropout, fan_out_weights
from lethe.models._normalize import Normalize

EXPANSION = 4


class PyramidBlock(nn.Module):
    """A bottleneck of 1×1, 3×3 and 1×1 convolutions, batch norm before, between and behind them, no first ReLU.

    The shortcut is averaged down where the block has a stride, and padded with channels of zeros.
    """

    def __init__(self, inputs: int, width: int, stride: int, drop: float) -> None:
        super().__init__()
        outputs = EXPANSION * width
        self.residual = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.Conv2d(inputs, width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            dropout(drop),
            nn.Conv2d(width, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.down = nn.Identity() if stride == 1 else nn.AvgPool2d(2, ceil_mode=True)
        self.wider = outputs - inputs

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, 4 · width, H / stride, W / stride)."""
        shortcut = F.pad(self.down(x), (0, 0, 0, 0, 0, self.wider))
        out: Tensor = self.residual(x) + shortcut
        return out


class PyramidNet(nn.Module):
    """A pyramidal network of bottlenecks (Han, Kim and Kim, CVPR 2017).

    PyramidNet-164-270 has 27.2 million parameters on CIFAR-10. Block k is ``round(16 + k · alpha / 3n)`` wide.

    Args:
        depth: 9n + 2 for n blocks in each of the three stages.
        alpha: by how many channels the last block is wider than the stem.
        classes: number of classes K.
        mean: of each channel of the data, of images in [0, 1]; its length is the number of input channels.
        std: likewise.
        drop: dropout before each block's last convolution and before the head.

    Shapes: images (B, C, H, W) in [0, 1] to logits (B, K).
    """

    def __init__(
        self,
        depth: int,
        alpha: int,
        classes: int,
        mean: Sequence[float],
        std: Sequence[float],
        drop: float = 0.0,
    ) -> None:
        super().__init__()
        if depth < 11 or (depth - 2) % 9:
            raise LetheError(f"a pyramidal network's depth is 9n + 2 (11, 20, ..., 164, ...), got {depth}.")
        blocks = (depth - 2) // 9
        self.normalize = Normalize(mean, std)
        self.stem = nn.Sequential(nn.Conv2d(len(mean), 16, 3, padding=1, bias=False), nn.BatchNorm2d(16))
        layers: list[nn.Module] = []
        channels, width = 16, 16.0
        for block in range(3 * blocks):
            width += alpha / (3.0 * blocks)
            stride = 2 if block in (blocks, 2 * blocks) else 1
            layers.append(PyramidBlock(channels, round(width), stride, drop))
            channels = EXPANSION * round(width)
        self.blocks = nn.Sequential(*layers)
        self.bn = nn.BatchNorm2d(channels)
        self.dropout = dropout(drop)
        self.linear = nn.Linear(channels, classes)
        fan_out_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """Images to logits."""
        x = self.blocks(self.stem(self.normalize(x)))
        logits: Tensor = self.linear(self.dropout(F.relu(self.bn(x)).mean((2, 3))))
        return logits
