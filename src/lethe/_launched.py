"""What a launcher, torchrun or Lightning Fabric, has told this process of its place among others."""

from __future__ import annotations

import atexit
import os
import sys


def rank() -> int:
    """Of this process, from 0; the first speaks to the user."""
    return int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")))


def count() -> int:
    """How many processes there are."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def leave(status: int) -> None:
    """End a process that was one of several at once, all being said and written.

    To take the interpreter apart would now and then abort: gloo's threads may still hold tensors, which they let go in
    an interpreter that is no more (https://github.com/pytorch/pytorch/pull/179291), also after its group is destroyed.
    """
    atexit._run_exitfuncs()  # which os._exit leaves out
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
