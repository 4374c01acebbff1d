"""ResNets for small images, from torchvision's."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from lethe.models._layers import dropout
from lethe.models._normalize import Normalize


class SmallStemResNet(nn.Module):
    """torchvision's ResNet (He et al., CVPR 2016) behind a 3×3 stem of stride 1 and without max pooling.

    ResNet-18 of this kind is the network of MART's and LURE's CIFAR scripts: 11.17 million parameters on CIFAR-10.

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
        self.network.conv1 = nn.Conv2d(len(mean), 64, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(self.network.conv1.weight, mode="fan_out", nonlinearity="relu")
        self.network.maxpool = nn.Identity()
        self.network.fc = nn.Sequential(dropout(drop), self.network.fc)

    def forward(self, x: Tensor) -> Tensor:
        """Images to logits."""
        logits: Tensor = self.network(self.normalize(x))
        return logits
