"""Wide residual networks, as AMP's script has them."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from lethe._check import LetheError
from lethe.models._layers import dropout, fan_out_weights
from lethe.models._normalize import Normalize


class WideBlock(nn.Module):
    """Two 3×3 convolutions, each behind batch norm and ReLU, the stride in the second; the shortcut sees the input."""

    def __init__(self, inputs: int, outputs: int, stride: int, drop: float) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.dropout = dropout(drop)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, stride, padding=1, bias=False)
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H / stride, W / stride)."""
        out = self.dropout(self.conv1(F.relu(self.bn1(x))))
        total: Tensor = self.conv2(F.relu(self.bn2(out))) + self.shortcut(x)
        return total


class WideResNet(nn.Module):
    """A stem of 16 channels and three stages of blocks (Zagoruyko and Komodakis, BMVC 2016).

    WRN-28-10 has 36.5 million parameters on CIFAR-10. This is the variant of AMP's script: the authors' code, and most
    of the literature, has the stride in a block's first convolution and the shortcut behind the first activation. The
    last batch norm's running statistics move by 0.9 a step (torch's ``momentum``).

    Args:
        depth: 6n + 4 for n blocks a stage.
        widen: the stages have 16, 32 and 64 times as many channels.
        classes: number of classes K.
        mean: of each channel of the data, of images in [0, 1]; its length is the number of input channels.
        std: likewise.
        drop: dropout between the convolutions of a block and before the head.

    Shapes: images (B, C, H, W) in [0, 1] to logits (B, K).
    """

    def __init__(
        self,
        depth: int,
        widen: int,
        classes: int,
        mean: Sequence[float],
        std: Sequence[float],
        drop: float = 0.0,
    ) -> None:
        super().__init__()
        if depth < 10 or (depth - 4) % 6:
            raise LetheError(f"a wide residual network's depth is 6n + 4 (10, 16, 22, 28, ...), got {depth}.")
        blocks = (depth - 4) // 6
        self.normalize = Normalize(mean, std)
        self.conv1 = nn.Conv2d(len(mean), 16, 3, padding=1, bias=False)
        stages: list[nn.Module] = []
        channels = 16
        for width, stride in ((16 * widen, 1), (32 * widen, 2), (64 * widen, 2)):
            first = WideBlock(channels, width, stride, drop)
            stages.append(nn.Sequential(first, *(WideBlock(width, width, 1, drop) for _ in range(blocks - 1))))
            channels = width
        self.stages = nn.Sequential(*stages)
        self.bn = nn.BatchNorm2d(channels, momentum=0.9)
        self.dropout = dropout(drop)
        self.linear = nn.Linear(channels, classes)
        fan_out_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """Images to logits."""
        x = self.stages(self.conv1(self.normalize(x)))
        logits: Tensor = self.linear(self.dropout(F.relu(self.bn(x)).mean((2, 3))))
        return logits
