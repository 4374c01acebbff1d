"""Keep batch norm's running statistics still while a network runs at perturbed weights."""

from __future__ import annotations

import gc
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

from lethe._check import LetheError

NORM_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")
"""What batch norms call them, torch's and others'."""
COMPILED = r"Using `torch\.compile\(module\)` when there are global hooks"


class Kept:
    """Copies of the running statistics of the norms that were found so far."""

    def __init__(self, weights: Iterable[Tensor], everything: bool = False) -> None:
        self.everything = everything
        self.weights = {id(weight) for weight in weights}
        self.seen: set[nn.Module] = set()
        self.network_seen = False
        self.statistics: list[Tensor] = []
        self.copies: list[Tensor] = []

    def add(self, module: nn.Module) -> None:
        """Copy the statistics of each norm in ``module`` that is in training mode, known by what it calls them."""
        if module in self.seen:
            return
        if not self.network_seen and not isinstance(module, torch.fx.GraphModule):  # as which a compiled function runs
            self.network_seen = any(id(p) in self.weights for p in module.parameters())
        for inner in module.modules():  # a compiled network runs without the hooks of what is in it
            if inner not in self.seen and inner.training:
                buffers = dict(inner.named_buffers(recurse=False))
                norm = "running_mean" in buffers or "running_var" in buffers
                there = [b for name, b in buffers.items() if self.everything or (norm and name in NORM_BUFFERS)]
                self.statistics.extend(there)
                self.copies.extend(b.clone() for b in there)
            self.seen.add(inner)

    def restore(self) -> None:
        if self.statistics:
            with torch.no_grad():
                torch._foreach_copy_(self.statistics, self.copies)


@contextmanager
def frozen_batch_statistics(
    networks: Iterable[nn.Module] | None = None, weights: Iterable[Tensor] = (), everything: bool = False
) -> Iterator[Kept]:
    """After this context, running means, variances and batch counts are what they were before, to the bit.

    The layers work as ever meanwhile; copies are written back at the end. An optimizer knows parameters but not
    modules, so without ``networks`` a hook sees every module of the process before it runs, for the length of one pass.

    Args:
        networks: where to look; None: wherever a hook sees a module run.
        weights: by which the hook knows the network.
        everything: keep all buffers of modules in training mode still, not those of norms alone.

    Yields:
        What was found; its ``network_seen`` says whether a module with any of the weights was seen.
    """
    kept = Kept(weights, everything)
    if networks is not None:
        kept.network_seen = True
        for network in networks:
            kept.add(network)
        try:
            yield kept
        finally:
            kept.restore()
        return
    handle = register_module_forward_pre_hook(lambda module, _: kept.add(module))
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=COMPILED)  # a second call of `add` does no harm
            yield kept
    finally:
        handle.remove()
        kept.restore()


def refuse_unseen_network(weights: Iterable[Tensor]) -> None:
    """Called where no module with any of these weights was seen running.

    Raises:
        LetheError: there is such a module, and something in this process is compiled: the network then ran inside a
            compiled function, into which hooks cannot see. Parameters that belong to no module are fine.
    """
    dynamo = sys.modules.get("torch._dynamo.utils")
    if dynamo is None or not dynamo.counters["frames"]["ok"]:
        return
    ours = {id(weight) for weight in weights}
    modules = (thing for thing in gc.get_objects() if issubclass(type(thing), nn.Module))
    if any(id(parameter) in ours for module in modules for parameter in module._parameters.values()):
        raise LetheError(
            "the network ran inside a compiled function, where its batch norms cannot be seen: give the optimizer "
            "modules=model, or batch_statistics='every' if it has none."
        )
