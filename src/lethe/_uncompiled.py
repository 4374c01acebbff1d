"""Run a network as it is written, whatever of it is compiled.

This file imports torch's compiler, which takes a second, and which ``import lethe`` does not need.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import torch

T = TypeVar("T")


def _uncompiled(work: Callable[[], T]) -> T:
    with torch.compiler.set_stance("force_eager"):
        return work()


# Disabled, because within a compiled function the stance cannot be set.
uncompiled = cast("Callable[[Callable[[], T]], T]", torch.compiler.disable(_uncompiled))  # type: ignore[no-untyped-call]
"""What ``work()`` returns. A compiled graph was, perhaps, made without hooks, and does not look for them again."""
