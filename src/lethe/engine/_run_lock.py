"""One process, or one group of processes, trains a run at a time."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator

from lethe._check import LetheError
from lethe.engine._processes import Processes
from lethe.engine._run_directory import RunDirectory

PATIENCE = 10.0
"""Seconds to wait: worker processes of a run that was killed take some to notice, and hold what it held till then."""


@contextlib.contextmanager
def alone(directory: RunDirectory, processes: Processes) -> Iterator[None]:
    """Hold the run's folder, so that no other process writes its metrics and checkpoints meanwhile.

    The folder itself is locked, by the first process: no file is left behind, and the lock ends with the process,
    however it ends. Where a file system has no locks, nothing is held.

    Raises:
        LetheError: another process holds it; nothing has been written.
    """
    held = processes.share(lambda: _lock(directory))
    try:
        yield
    finally:
        if processes.first and held is not None:
            os.close(held)


def _lock(directory: RunDirectory) -> int | None:
    try:
        import fcntl  # which Windows does not have

        folder = os.open(directory.path, os.O_RDONLY)
    except (ImportError, OSError):
        return None
    until = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < until:
                time.sleep(0.2)
                continue
            os.close(folder)
            raise LetheError(
                f"the run {str(directory.path)!r} is being trained by another process: wait for it, or stop that one."
            ) from None
        except OSError:
            os.close(folder)
            return None
        return folder
