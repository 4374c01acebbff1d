"""Networks that take images in [0, 1]: normalisation lives inside them."""

from lethe.models._config import MODELS, ModelConfig, build
from lethe.models._layout import channels_last
from lethe.models._normalize import Normalize
from lethe.models._preact_resnet import PreActResNet, preact_resnet18, wrn_34_10
from lethe.models._preact_resnet_amp import AMPPreActResNet18
from lethe.models._pyramid import PyramidNet
from lethe.models._resnet import LargeStemResNet, SmallStemResNet
from lethe.models._small_resnet import SmallResNet
from lethe.models._timm import TimmNetwork
from lethe.models._vgg import VGG16
from lethe.models._wide_resnet import WideResNet

__all__ = [
    "MODELS",
    "VGG16",
    "AMPPreActResNet18",
    "LargeStemResNet",
    "ModelConfig",
    "Normalize",
    "PreActResNet",
    "PyramidNet",
    "SmallResNet",
    "SmallStemResNet",
    "TimmNetwork",
    "WideResNet",
    "build",
    "channels_last",
    "preact_resnet18",
    "wrn_34_10",
]
