"""What a launcher, torchrun or Lightning Fabric, has told this process of its place among others."""

from __future__ import annotations

import os


def rank() -> int:
    """Of this process, from 0; the first speaks to the user."""
    return int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")))


def count() -> int:
    """How many processes there are."""
    return int(os.environ.get("WORLD_SIZE", "1"))
