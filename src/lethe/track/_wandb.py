"""Weights & Biases: online with an API key, else offline, in the run directory's ``wandb``."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from typing import Any

from lethe.track._tracker import Tracked


class WandbTracker:
    """A run of W&B.

    ``WANDB_MODE`` says whether it is online, offline or disabled; where it does not, the run is online if W&B finds an
    API key, and never asks for one. Its id is kept in ``wandb/run_id``, so that a resumed run goes on with the same run
    (offline its parts become one when they are sent with ``wandb sync``).
    """

    def __init__(self, run: Tracked) -> None:
        import wandb

        folder = run.where / "wandb"
        folder.mkdir(exist_ok=True)  # otherwise W&B writes to the temporary folder
        mode: Any = os.environ.get("WANDB_MODE") or ("online" if _has_key(wandb) else "offline")
        kept = folder / "run_id"
        run_id = kept.read_text().strip() if kept.is_file() else secrets.token_hex(4)
        kept.write_text(run_id + "\n")
        self._run = wandb.init(
            project=run.project,
            name=run.where.name,
            group=run.title,
            dir=str(run.where),
            config=dict(run.options),
            id=run_id,
            resume="allow",
            mode=mode,
            settings=wandb.Settings(console="off", silent=mode != "online"),  # the console is the run's own
        )

    def log(self, numbers: Mapping[str, float], epoch: int, event: str | None) -> None:
        """One step, numbered by the epoch."""
        self._run.log(dict(numbers) if event is None else {**numbers, "event": event}, step=epoch)

    def close(self, *, finished: bool) -> None:
        """End the run; one that was stopped counts as failed until it goes on."""
        self._run.finish(exit_code=0 if finished else 1)


def _has_key(wandb: Any) -> bool:
    try:
        return bool(wandb.login(prompt=False, verify=False))
    except TypeError:  # a version that cannot be told not to ask
        return bool(wandb.api.api_key)
