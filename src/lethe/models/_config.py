"""Which network a run trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from lethe._check import at_least, one_of
from lethe.models._preact_resnet import preact_resnet18
from lethe.models._small_resnet import SmallResNet

MODELS = ("small-resnet", "preact-resnet18")


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The network."""

    model: str = "small-resnet"
    """small-resnet, or preact-resnet18 in the variant of the adversarial-training literature."""
    width: int = 16
    """Channels of small-resnet's first stage."""

    def __post_init__(self) -> None:
        one_of("model", self.model, MODELS)
        at_least("width", self.width, 1)


def build(config: ModelConfig, classes: int, mean: Sequence[float], std: Sequence[float]) -> nn.Module:
    """Make the network; initial weights come from torch's global generator."""
    if config.model == "preact-resnet18":
        return preact_resnet18(classes, mean, std)
    return SmallResNet(config.width, classes, mean, std)
