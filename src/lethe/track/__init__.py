"""Experiment trackers beside a run's own metrics: they may be absent or fail, and the run goes on."""

from lethe.track._config import TrackConfig
from lethe.track._observer import TrackingObserver
from lethe.track._tracker import Tracked, Tracker
from lethe.track._trackers import TRACKERS

__all__ = [
    "TRACKERS",
    "TrackConfig",
    "Tracked",
    "Tracker",
    "TrackingObserver",
]
