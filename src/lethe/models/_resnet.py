"""ResNets for small and for large images, from torchvision's."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from lethe.models._layers import dropout
from lethe.models._normalize import Normalize


class LargeStemResNet(nn.Module):
    """torchvision's ResNet (He et al., CVPR 2016) as it is: a 7×7 stem of stride 2, and max pooling, for ImageNet.

    With 1000 classes ResNet-18 has 11.69 million parameters, ResNet-50 25.56 million.

    Args:
        depth: 18 or 50.
        classes: number of classes K.
        mean: of each channel of the data, of images in [0, 1]; its length is the number of input channels.
        std: likewise.
        drop: dropout before the head.

    Shapes: images (B, C, H, W) in [0, 1] to logits (B, K).
    """

    def __init__(
        self, depth: int, classes: int, mean: Sequence[float], std: Sequence[float], drop: float = 0.0
    ) -> None:
        from torchvision.models import resnet18, resnet50  # the library alone does without torchvision

        super().__init__()
        self.normalize = Normalize(mean, std)
        self.network: nn.Module = {18: resnet18, 50: resnet50}[depth](num_classes=classes)
        self._change_stem(len(mean))
        self.network.fc = nn.Sequential(dropout(drop), self.network.fc)

    def _change_stem(self, channels: int) -> None:
        """Make the network take images of so many channels."""
        if channels != 3:
            self._begin_with(nn.Conv2d(channels, 64, 7, 2, padding=3, bias=False))

    def _begin_with(self, stem: nn.Conv2d) -> None:
        """Put another first convolution in place, drawn as torchvision draws its own."""
        nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
        self.network.conv1 = stem

    def forward(self, x: Tensor) -> Tensor:
        """Images to logits."""
        logits: Tensor = self.network(self.normalize(x))
        return logits


class SmallStemResNet(LargeStemResNet):
    """The same behind a 3×3 stem of stride 1 and without max pooling, for small images.

    ResNet-18 of this kind is the network of MART's and LURE's CIFAR scripts: 11.17 million parameters on CIFAR-10.
    Arguments and shapes are those of :class:`LargeStemResNet`.
    """

    def _change_stem(self, channels: int) -> None:
        self._begin_with(nn.Conv2d(channels, 64, 3, padding=1, bias=False))
        self.network.maxpool = nn.Identity()
