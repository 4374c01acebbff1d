"""Networks that take images in [0, 1]: normalisation lives inside them."""

from lethe.models._config import ModelConfig, build
from lethe.models._normalize import Normalize
from lethe.models._preact_resnet import PreActResNet, preact_resnet18
from lethe.models._small_resnet import SmallResNet

__all__ = ["ModelConfig", "Normalize", "PreActResNet", "SmallResNet", "build", "preact_resnet18"]
