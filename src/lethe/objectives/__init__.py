"""What a training step minimises: standard and adversarial training."""

from lethe.objectives._adversarial import PGDAT
from lethe.objectives._objective import Objective
from lethe.objectives._standard import Standard

__all__ = ["PGDAT", "Objective", "Standard"]
