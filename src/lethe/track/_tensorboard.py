"""TensorBoard: event files in the run directory's ``tensorboard``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lethe.track._tracker import Tracked


class TensorBoardTracker:
    """Writes scalars, events and the config as text. A resumed run adds a file to the same folder."""

    def __init__(self, run: Tracked) -> None:
        from torch.utils.tensorboard import SummaryWriter

        folder = run.where / "tensorboard"
        resumed = folder.is_dir()
        make: Any = SummaryWriter  # which has no types
        self._writer = make(str(folder))
        if not resumed:
            text = json.dumps(run.options, indent=2)
            self._text("config", "\n".join(f"    {line}" for line in text.splitlines()), 0)  # Markdown's code

    def log(self, numbers: Mapping[str, float], epoch: int, event: str | None) -> None:
        """One scalar for each number."""
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, epoch)
        if event is not None:
            self._text("event", event, epoch)
        self._writer.flush()

    def close(self, *, finished: bool) -> None:
        """Close the file."""
        self._writer.close()

    def _text(self, name: str, text: str, epoch: int) -> None:
        self._writer.add_text(name, text, epoch)
