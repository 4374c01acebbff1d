"""Which trackers a run has."""

from __future__ import annotations

from dataclasses import dataclass

from lethe._check import LetheError, one_of
from lethe.track._trackers import TRACKERS


@dataclass(frozen=True, kw_only=True)
class TrackConfig:
    """Who is told of the run's numbers, beside metrics.jsonl. Nothing of this changes a run."""

    track: tuple[str, ...] = ()
    """Any of tensorboard, wandb (offline without an API key) and mlflow; their files lie in the run directory."""
    track_project: str = "lethe"
    """What wandb and mlflow file the run under: their project, or experiment."""

    def __post_init__(self) -> None:
        for name in self.track:
            one_of("tracker", name, TRACKERS)
        if len(set(self.track)) < len(self.track):
            raise LetheError(f"track names a tracker twice: {' '.join(self.track)}.")
        if not self.track_project:
            raise LetheError("track_project must not be empty.")
