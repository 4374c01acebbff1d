"""Anytime learning: data arrives in megabatches, and a model is due after each."""

from lethe.anytime._arriving import ArrivingMegabatches
from lethe.anytime._megabatch import Megabatch
from lethe.anytime._metrics import cumulative_error, generalisation_gap, learning_speed
from lethe.anytime._replay import Buffer, GrowingBuffer, Replay
from lethe.anytime._stream import MegabatchStream

__all__ = [
    "ArrivingMegabatches",
    "Buffer",
    "GrowingBuffer",
    "Megabatch",
    "MegabatchStream",
    "Replay",
    "cumulative_error",
    "generalisation_gap",
    "learning_speed",
]
