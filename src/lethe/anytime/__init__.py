"""Anytime learning: data arrives in megabatches, and a model is due after each."""

from lethe.anytime._metrics import cumulative_error, generalisation_gap, learning_speed
from lethe.anytime._replay import Buffer, Replay
from lethe.anytime._stream import Megabatch, MegabatchStream

__all__ = [
    "Buffer",
    "Megabatch",
    "MegabatchStream",
    "Replay",
    "cumulative_error",
    "generalisation_gap",
    "learning_speed",
]
