"""Which network a run trains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from torch import nn

from lethe._check import LetheError, at_least, one_of
from lethe.models._preact_resnet import preact_resnet18, wrn_34_10
from lethe.models._preact_resnet_amp import AMPPreActResNet18
from lethe.models._pyramid import PyramidNet
from lethe.models._resnet import LargeStemResNet, SmallStemResNet
from lethe.models._small_resnet import SmallResNet
from lethe.models._timm import PREFIX, TimmNetwork, check_timm_name
from lethe.models._vgg import VGG16
from lethe.models._wide_resnet import WideResNet

NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "preact-resnet18": preact_resnet18,
    "wrn-34-10": wrn_34_10,
    "resnet18": partial(SmallStemResNet, 18),
    "resnet50": partial(SmallStemResNet, 50),
    "resnet18-imagenet": partial(LargeStemResNet, 18),
    "resnet50-imagenet": partial(LargeStemResNet, 50),
    "preact-resnet18-amp": AMPPreActResNet18,
    "vgg16": VGG16,
    "wrn-28-10": partial(WideResNet, 28, 10),
    "pyramidnet-164-270": partial(PyramidNet, 164, 270),
}
"""From (classes, mean, std, drop) to a network."""
MODELS = ("small-resnet", *NETWORKS)
"""Names of networks; beside them there is ``timm:NAME`` for each of timm's."""


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The network."""

    model: str = "small-resnet"
    """small-resnet; preact-resnet18, wrn-34-10, resnet18 and resnet50 (with a small stem) as in adversarial training;
    as in AMP's script preact-resnet18-amp, vgg16, wrn-28-10, pyramidnet-164-270; for large images resnet18-imagenet and
    resnet50-imagenet; or timm:NAME, any network of the library timm (timm:vit_tiny_patch16_224), not pretrained."""
    width: int = 16
    """Channels of small-resnet's first stage."""
    dropout: float = 0.0
    """Dropout before the second convolution of each block and before the head; of torchvision's and most of timm's
    networks before the head alone. AMP's baseline: 0.1."""

    def __post_init__(self) -> None:
        if self.model.startswith(PREFIX):
            check_timm_name(self.model.removeprefix(PREFIX))
        else:
            one_of("model", self.model, [*MODELS, f"{PREFIX}NAME"])
        at_least("width", self.width, 1)
        if not 0.0 <= self.dropout < 1.0:
            raise LetheError(f"dropout must lie in [0, 1), got {self.dropout}: it is the share that is dropped.")


def build(
    config: ModelConfig, classes: int, mean: Sequence[float], std: Sequence[float], image_size: int | None = None
) -> nn.Module:
    """Make the network; initial weights come from torch's global generator.

    Args:
        config: which one.
        classes: number of classes K.
        mean: of each channel of the data, of images in [0, 1]; its length is the number of input channels.
        std: likewise.
        image_size: side of the images in pixels; some of timm's networks are built for one size, all others take any.
    """
    if config.model.startswith(PREFIX):
        name = config.model.removeprefix(PREFIX)
        return TimmNetwork(name, classes, mean, std, config.dropout, image_size)
    if config.model == "small-resnet":
        return SmallResNet(config.width, classes, mean, std, config.dropout)
    return NETWORKS[config.model](classes, mean, std, config.dropout)
