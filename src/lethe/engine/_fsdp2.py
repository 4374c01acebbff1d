"""Networks of which each process keeps a share of the weights (FSDP2), and checkpoints that hold the whole."""

from __future__ import annotations

from typing import Any, cast

from torch import Tensor, nn
from torch.optim import Optimizer

from lethe._shards import sharded


def shard(model: nn.Module) -> nn.Module:
    """Cut the weights of the network among all processes, in place: its direct children, then what is left.

    Weights, gradients and collectives stay fp32; the precision of the passes is autocast's.
    """
    from torch.distributed.fsdp import fully_shard

    for child in model.children():
        callable_as_one = type(child).forward is not nn.Module.forward  # a ModuleList is not
        if callable_as_one and any(True for _ in child.parameters()):
            fully_shard(child)
    fully_shard(model)
    return model


def whole(state: Any) -> Any:
    """A nested state with every share put together; all processes call it, and all have the result."""
    if isinstance(state, Tensor) and sharded(state):
        return cast("Any", state).full_tensor()
    if isinstance(state, dict):
        return {key: whole(value) for key, value in state.items()}
    if isinstance(state, (list, tuple)):
        return type(state)(whole(value) for value in state)
    return state


def shares_of(state: Any, like: Any) -> Any:
    """A nested whole state cut as ``like`` is, wherever that holds shares."""
    if isinstance(state, Tensor) and isinstance(like, Tensor) and sharded(like):
        from torch.distributed.tensor import distribute_tensor  # half a second of import, for FSDP2 alone

        cut = cast("Any", like)
        return distribute_tensor(state.to(like.device), cut.device_mesh, cut.placements)
    if isinstance(state, dict) and isinstance(like, dict):
        return {key: shares_of(value, like.get(key)) for key, value in state.items()}
    return state


def optimizer_shares_of(state: dict[str, Any], optimizer: Optimizer) -> dict[str, Any]:
    """A whole optimizer state cut as the optimizer's parameters are."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    cut = {
        at: {
            name: shares_of(value, parameters[at]) if _of_shape(value, parameters[at]) else value
            for name, value in entries.items()
        }
        for at, entries in state["state"].items()
    }
    return {**state, "state": cut}


def _of_shape(value: Any, parameter: Tensor) -> bool:
    return isinstance(value, Tensor) and value.shape == parameter.shape
