"""Keep what was learnt: a stable, averaged model, and a loss that holds the working model to it."""

from lethe.consolidate._consistency import consistency_loss
from lethe.consolidate._measured import MeasuredStatistics
from lethe.consolidate._recompute import recompute_statistics
from lethe.consolidate._stable import StableModel
from lethe.consolidate._teacher import Teacher

__all__ = ["MeasuredStatistics", "StableModel", "Teacher", "consistency_loss", "recompute_statistics"]
