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
from lethe.models._resnet import SmallStemResNet
from lethe.models._small_resnet import SmallResNet
from lethe.models._vgg import VGG16
from lethe.models._wide_resnet import WideResNet

NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "preact-resnet18": preact_resnet18,
    "wrn-34-10": wrn_34_10,
    "resnet18": partial(SmallStemResNet, 18),
    "resnet50": partial(SmallStemResNet, 50),
    "preact-resnet18-amp": AMPPreActResNet18,
    "vgg16": VGG16,
    "wrn-28-10": partial(WideResNet, 28, 10),
    "pyramidnet-164-270": partial(PyramidNet, 164, 270),
}
"""From (classes, mean, std, drop) to a network."""
MODELS = ("small-resnet", *NETWORKS)


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The network."""

    model: str = "small-resnet"
    """small-resnet; preact-resnet18, wrn-34-10 and resnet18 (with a small stem) as in adversarial training; and as in
    AMP's script preact-resnet18-amp, vgg16, wrn-28-10, pyramidnet-164-270."""
    width: int = 16
    """Channels of small-resnet's first stage."""
    dropout: float = 0.0
    """Dropout, where the network's card says; AMP's baseline: 0.1."""

    def __post_init__(self) -> None:
        one_of("model", self.model, MODELS)
        at_least("width", self.width, 1)
        if not 0.0 <= self.dropout < 1.0:
            raise LetheError(f"dropout must lie in [0, 1), got {self.dropout}: it is the share that is dropped.")


def build(config: ModelConfig, classes: int, mean: Sequence[float], std: Sequence[float]) -> nn.Module:
    """Make the network; initial weights come from torch's global generator."""
    if config.model == "small-resnet":
        return SmallResNet(config.width, classes, mean, std, config.dropout)
    return NETWORKS[config.model](classes, mean, std, config.dropout)
