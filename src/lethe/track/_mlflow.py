"""MLflow: a server, or a database in the run directory's ``mlruns``."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from typing import Any

from lethe.track._tracker import Tracked

LONGEST_VALUE = 500  # characters of a parameter that every version of MLflow takes


class MLflowTracker:
    """A run of MLflow, in the experiment that is named as the project.

    It goes to ``MLFLOW_TRACKING_URI`` where that is set, else to ``mlruns/mlflow.db``, which
    ``mlflow ui --backend-store-uri sqlite:///RUN/mlruns/mlflow.db`` shows. Its id is kept in ``mlruns/run_id``, so that
    a resumed run goes on with the same run.
    """

    def __init__(self, run: Tracked) -> None:
        from mlflow.entities import Metric, Param, RunTag
        from mlflow.tracking import MlflowClient

        self._metric, self._tag = Metric, RunTag
        folder = run.where.resolve() / "mlruns"
        folder.mkdir(exist_ok=True)
        server = os.environ.get("MLFLOW_TRACKING_URI")
        if not server:
            import alembic  # noqa: F401 - MLflow's small distribution comes without them, and says something else
            import sqlalchemy  # noqa: F401
        logger = logging.getLogger("mlflow")
        level = logger.level
        logger.setLevel(logging.WARNING)  # it tells how it makes its tables
        try:
            self._client: Any = MlflowClient(tracking_uri=server or f"sqlite:///{folder / 'mlflow.db'}")
            kept = folder / "run_id"
            if kept.is_file():
                self._id = kept.read_text().strip()
                self._client.update_run(self._id, status="RUNNING")
                return
            known = self._client.get_experiment_by_name(run.project)
            place = None if server else (folder / "artifacts").as_uri()
            experiment = (
                self._client.create_experiment(run.project, artifact_location=place)
                if known is None
                else known.experiment_id
            )
            self._id = self._client.create_run(experiment, run_name=run.where.name).info.run_id
            kept.write_text(self._id + "\n")
        finally:
            logger.setLevel(level)
        params = [Param(name, str(value)[:LONGEST_VALUE]) for name, value in run.flat().items()]
        for first in range(0, len(params), 100):  # as many as MLflow takes at once
            self._client.log_batch(self._id, params=params[first : first + 100])

    def log(self, numbers: Mapping[str, float], epoch: int, event: str | None) -> None:
        """One batch of metrics; an event is a tag named by its epoch."""
        now = int(time.time() * 1000)
        metrics = [self._metric(name, value, now, epoch) for name, value in numbers.items()]
        tags = [] if event is None else [self._tag(f"event.{epoch}", event)]
        self._client.log_batch(self._id, metrics=metrics, tags=tags)

    def close(self, *, finished: bool) -> None:
        """Set the run's state."""
        self._client.set_terminated(self._id, status="FINISHED" if finished else "KILLED")
