"""Which trackers there are."""

from __future__ import annotations

from collections.abc import Callable

from lethe.track._mlflow import MLflowTracker
from lethe.track._tensorboard import TensorBoardTracker
from lethe.track._tracker import Tracked, Tracker
from lethe.track._wandb import WandbTracker

TRACKERS: dict[str, Callable[[Tracked], Tracker]] = {
    "tensorboard": TensorBoardTracker,
    "wandb": WandbTracker,
    "mlflow": MLflowTracker,
}
"""By name; each imports its library when it is made."""

PACKAGES = {"mlflow": "mlflow-skinny sqlalchemy alembic"}
"""What to install, where it is named otherwise than the tracker."""
