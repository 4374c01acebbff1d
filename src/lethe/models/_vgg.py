"""VGG-16 for small images, as AMP's script has it."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from lethe.models._layers import dropout, fan_out_weights
from lethe.models._normalize import Normalize

STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


class VGG16(nn.Module):
    """Thirteen 3×3 convolutions with batch norm in five stages, each ending in a pooling, and three linear layers.

    Simonyan and Zisserman, ICLR 2015, with batch norm and the full head of two hidden layers of 4096: 33.6 million
    parameters on CIFAR-10.

    Args:
        classes: number of classes K.
        mean: of each channel of the data, of images in [0, 1]; its length is the number of input channels.
        std: likewise.
        drop: dropout behind every convolution and every hidden linear layer.

    Shapes: images (B, C, H, W) in [0, 1], of 32×32 pixels or more, to logits (B, K).
    """

    def __init__(self, classes: int, mean: Sequence[float], std: Sequence[float], drop: float = 0.0) -> None:
        super().__init__()
        self.normalize = Normalize(mean, std)
        layers: list[nn.Module] = []
        channels = len(mean)
        for stage in STAGES:
            for width in stage:
                convolution = nn.Conv2d(channels, width, 3, padding=1)
                layers += [convolution, nn.BatchNorm2d(width), nn.ReLU(), dropout(drop)]
                channels = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)  # of one pixel, for images of 32
        hidden = [nn.Linear(channels, 4096), nn.ReLU(), dropout(drop), nn.Linear(4096, 4096), nn.ReLU(), dropout(drop)]
        self.classifier = nn.Sequential(*hidden, nn.Linear(4096, classes))
        fan_out_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """Images to logits."""
        logits: Tensor = self.classifier(self.pool(self.features(self.normalize(x))).flatten(1))
        return logits
