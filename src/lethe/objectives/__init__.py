"""What a training step minimises: standard, regularised and adversarial training."""

from lethe.objectives._adversarial import MART, PGDAT, TRADES
from lethe.objectives._config import OBJECTIVES, ObjectiveConfig
from lethe.objectives._distillation import Distillation, DistillationConfig
from lethe.objectives._objective import Batch, Objective
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
    "MART",
    "OBJECTIVES",
    "PGDAT",
    "TRADES",
    "Batch",
    "Distillation",
    "DistillationConfig",
    "Flooding",
    "FloodingConfig",
    "LabelSmoothing",
    "LabelSmoothingConfig",
    "MixUp",
    "MixUpConfig",
    "Objective",
    "ObjectiveConfig",
    "SmallLossPGDAT",
    "Standard",
]
