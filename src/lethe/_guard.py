"""Leave no trace: look through a network in evaluation mode and put every flag back as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Put every module into evaluation mode; afterwards, also after an error, restore each module's own mode.

    A single ``model.train()`` at the end would thaw what the user had frozen (a batch norm kept in evaluation
    mode, a dropout switched on for Monte Carlo), so the mode of each module is kept and restored by itself.
    """
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True
