"""Pre-activation residual networks for small images."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from lethe.models._layers import dropout, fan_out_weights
from lethe.models._normalize import Normalize


class PreActBlock(nn.Module):
    """Two 3×3 convolutions, each behind batch norm and ReLU (He et al., ECCV 2016).

    This is the variant of the adversarial-training literature (Rice et al., AWP, RWP, FOMO): convolutions have no
    bias, an identity shortcut carries the raw input, and a 1×1 shortcut sees the activated input and has no batch
    norm. AMP's variant (bias everywhere, identity shortcut of the activated input) is another network,
    :class:`lethe.models.AMPPreActResNet18`.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, drop: float = 0.0) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.dropout = dropout(drop)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, padding=1, bias=False)
        same = stride == 1 and inputs == outputs
        self.shortcut = None if same else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H / stride, W / stride)."""
        activated = F.relu(self.bn1(x))
        shortcut = x if self.shortcut is None else self.shortcut(activated)
        out: Tensor = self.conv2(self.dropout(F.relu(self.bn2(self.conv1(activated)))))
        return out + shortcut


class PreActResNet(nn.Module):
    """A stem, stages of blocks (the first keeps the size, each later one halves it), batch norm, ReLU, and a head.

    Args:
        widths: channels of each stage.
        blocks: blocks of each stage.
        classes: number of classes K.
        mean: of each channel of the data, of images in [0, 1]; its length is the number of input channels.
        std: likewise.
        drop: dropout before each block's second convolution and before the head.
        stem: channels of the first convolution; None: the first stage's.

    Shapes: images (B, C, H, W) in [0, 1] to logits (B, K).
    """

    def __init__(
        self,
        widths: Sequence[int],
        blocks: Sequence[int],
        classes: int,
        mean: Sequence[float],
        std: Sequence[float],
        drop: float = 0.0,
        stem: int | None = None,
    ) -> None:
        super().__init__()
        self.normalize = Normalize(mean, std)
        channels = widths[0] if stem is None else stem
        self.conv1 = nn.Conv2d(len(mean), channels, 3, padding=1, bias=False)
        stages = []
        for stage, (width, depth) in enumerate(zip(widths, blocks, strict=True)):
            layers = []
            for block in range(depth):
                layers.append(PreActBlock(channels, width, 2 if stage and block == 0 else 1, drop))
                channels = width
            stages.append(nn.Sequential(*layers))
        self.stages = nn.Sequential(*stages)
        self.bn = nn.BatchNorm2d(channels)
        self.dropout = dropout(drop)
        self.linear = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images to logits."""
        x = self.stages(self.conv1(self.normalize(x)))
        pooled = F.relu(self.bn(x)).mean((2, 3))
        logits: Tensor = self.linear(self.dropout(pooled))
        return logits


def preact_resnet18(classes: int, mean: Sequence[float], std: Sequence[float], drop: float = 0.0) -> PreActResNet:
    """PreActResNet-18 as in adversarial training: 11.17 million parameters on CIFAR-10."""
    return PreActResNet((64, 128, 256, 512), (2, 2, 2, 2), classes, mean, std, drop)


def wrn_34_10(classes: int, mean: Sequence[float], std: Sequence[float], drop: float = 0.0) -> PreActResNet:
    """WRN-34-10 as in adversarial training (TRADES, AWP, FOMO): 46.16 million parameters on CIFAR-10.

    A wide residual network (Zagoruyko and Komodakis, BMVC 2016) is a pre-activation one with a stem of 16 channels.
    Initial weights are those of TRADES' code. AMP's WRN-28-10 strides elsewhere: :class:`lethe.models.WideResNet`.
    """
    network = PreActResNet((160, 320, 640), (5, 5, 5), classes, mean, std, drop, stem=16)
    fan_out_weights(network)
    return network
