"""What a training step minimises: standard, regularised and adversarial training."""

from lethe.objectives._adversarial import PGDAT
from lethe.objectives._objective import Objective
from lethe.objectives._regularised import (
    Flooding,
    FloodingConfig,
    LabelSmoothing,
    LabelSmoothingConfig,
    MixUp,
    MixUpConfig,
)
from lethe.objectives._small_loss import SmallLossPGDAT
from lethe.objectives._standard import Standard

__all__ = [
    "PGDAT",
    "Flooding",
    "FloodingConfig",
    "LabelSmoothing",
    "LabelSmoothingConfig",
    "MixUp",
    "MixUpConfig",
    "Objective",
    "SmallLossPGDAT",
    "Standard",
]
