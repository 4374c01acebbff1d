"""Independent random streams of one run."""

from __future__ import annotations

import numpy as np
import torch


def generators(seed: int, names: tuple[str, ...] = ("data", "attack", "method")) -> dict[str, torch.Generator]:
    """One generator a purpose, on the CPU, all from one seed.

    They are apart so that, for example, another attack does not change the order of the data: two methods with
    the same seed see the same batches.
    """
    children = np.random.SeedSequence(seed).spawn(len(names))
    words = [int(child.generate_state(1, np.uint64)[0] >> 1) for child in children]
    return {name: torch.Generator().manual_seed(word) for name, word in zip(names, words, strict=True)}
