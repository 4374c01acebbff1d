"""PreActResNet-18 as AMP's script has it."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from lethe.models._layers import dropout, fan_out_weights
from lethe.models._normalize import Normalize


class AMPPreActBlock(nn.Module):
    """Two 3×3 convolutions, each behind batch norm and ReLU; both, and the 1×1 shortcut, have a bias.

    Unlike in the adversarial-training literature (:class:`lethe.models.PreActResNet`) an identity shortcut carries the
    *activated* input.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, drop: float) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.dropout = dropout(drop)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H / stride, W / stride)."""
        x = F.relu(self.bn1(x))
        residual: Tensor = self.conv2(self.dropout(F.relu(self.bn2(self.conv1(x)))))
        out: Tensor = residual + self.shortcut(x)
        return out


class AMPPreActResNet18(nn.Module):
    """PreActResNet-18 of AMP's script: 11.18 million parameters on CIFAR-10.

    Args:
        classes: number of classes K.
        mean: of each channel of the data, of images in [0, 1]; its length is the number of input channels.
        std: likewise.
        drop: dropout before each block's second convolution and before the head.

    Shapes: images (B, C, H, W) in [0, 1] to logits (B, K).
    """

    def __init__(self, classes: int, mean: Sequence[float], std: Sequence[float], drop: float = 0.0) -> None:
        super().__init__()
        self.normalize = Normalize(mean, std)
        self.conv1 = nn.Conv2d(len(mean), 64, 3, padding=1, bias=False)
        stages: list[nn.Module] = []
        channels = 64
        for width, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
            first, second = AMPPreActBlock(channels, width, stride, drop), AMPPreActBlock(width, width, 1, drop)
            stages.append(nn.Sequential(first, second))
            channels = width
        self.stages = nn.Sequential(*stages)
        self.bn = nn.BatchNorm2d(channels)
        self.dropout = dropout(drop)
        self.linear = nn.Linear(channels, classes)
        fan_out_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """Images to logits."""
        x = self.stages(self.conv1(self.normalize(x)))
        logits: Tensor = self.linear(self.dropout(F.relu(self.bn(x)).mean((2, 3))))
        return logits
