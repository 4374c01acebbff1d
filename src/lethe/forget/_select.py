"""Selectors: which parameters of a network may be forgotten."""

from __future__ import annotations

import fnmatch
import inspect
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from torch import Tensor, nn

from lethe._check import LetheError, fraction, nearest
from lethe._shards import reshard, unwrapped

Predicate: TypeAlias = Callable[..., bool]

LAYERS = (nn.Linear, nn.modules.conv._ConvNd)
"""Convolutional and linear layers."""


@dataclass(frozen=True)
class Selector:
    """Finds the parameters of a network that a criterion may choose from.

    Args:
        description: what it selects, for messages.
        find: from a network to the names of the selected parameters, in the order of ``named_parameters()``.
    """

    description: str
    find: Callable[[nn.Module], list[str]]

    def __repr__(self) -> str:
        return f"lethe.forget.{self.description}"


Select: TypeAlias = "Selector | Predicate | None"


def _weight_names(model: nn.Module) -> list[str]:
    """Names of the weights of convolutional and linear layers, in module order; a tied one counts at its last layer."""
    # Not `module.weight`, which would run a parametrization, and with it perhaps move a buffer.
    layers = {name: m._parameters.get("weight") for name, m in model.named_modules() if isinstance(m, LAYERS)}
    if without := [name for name, weight in layers.items() if weight is None]:
        more = " and more" if len(without) > 3 else ""
        warnings.warn(
            f"{', '.join(map(repr, without[:3]))}{more}: the weight is computed from others (spectral_norm, "
            "weight_norm, pruning or another parametrization), and is not among those selected.",
            stacklevel=2,
        )
    held = [m._parameters.get(name) for m in model.modules() for name in _projections(m)]
    place = {id(weight): at for at, weight in enumerate(held) if weight is not None}
    names = {name: place[id(p)] for name, p in model.named_parameters() if id(p) in place}
    return sorted(names, key=names.__getitem__)


def _projections(module: nn.Module) -> Sequence[str]:
    """What the weights of a layer are called in it: one, or those that attention projects its inputs by."""
    if isinstance(module, nn.MultiheadAttention):
        return ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")
    return ("weight",) if isinstance(module, LAYERS) else ()


weights = Selector("weights", _weight_names)
"""The weights of all convolutional and linear layers, those by which ``nn.MultiheadAttention`` projects its inputs
included; no bias, no normalisation. The default of every criterion."""

everything = Selector(
    "everything",
    lambda model: [name for name, p in model.named_parameters() if p.is_floating_point() or p.is_complex()],
)
"""Every parameter, biases and normalisation included, as LURE's published code ranks them; whole numbers, as of
quantised layers, are no weights."""


def _last_layer_names(model: nn.Module) -> list[str]:
    """Names of the parameters of the last convolutional or linear layer."""
    layers = [m for m in model.modules() if isinstance(m, LAYERS) and m._parameters.get("weight") is not None]
    held = {id(p) for layer in layers[-1:] for p in layer.parameters(recurse=False)}
    return [name for name, parameter in model.named_parameters() if id(parameter) in held]


last_layer = Selector("last_layer", _last_layer_names)
"""Weight and bias of the last convolutional or linear layer, in module order: the head of most networks."""


def later_layers(share: float) -> Selector:
    """Select the weights of the last ``share`` of the convolutional and linear layers, classifier included.

    Layers count in module order, each as one, whatever its size; the number is rounded up. Shortcut convolutions
    count where they stand. ``later_layers(1.0)`` is :data:`weights`.

    Args:
        share: in (0, 1].
    """
    if fraction("share", share) == 0:
        raise LetheError("later_layers(0) would select nothing: name a share above 0, 0.5 for the later half.")

    def find(model: nn.Module) -> list[str]:
        names = _weight_names(model)
        return names[len(names) - math.ceil(share * len(names) - 1e-9) :]

    return Selector(f"later_layers({share})", find)


def named(*patterns: str) -> Selector:
    """Select the parameters whose full name fits one of the patterns.

    Args:
        patterns: shell patterns over names as in ``named_parameters()``: ``"layer4.*"``, ``"*.weight"``. A pattern
            that fits no parameter is an error, also when another one does.
    """
    if not patterns:
        raise LetheError("named() needs at least one pattern, for example named('layer4.*').")

    def find(model: nn.Module) -> list[str]:
        known = [name for name, _ in model.named_parameters()]
        for pattern in patterns:
            if not fnmatch.filter(known, pattern):
                raise LetheError(f"the pattern {pattern!r} matches no parameter.{nearest(pattern, known)}")
        return [name for name in known if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]

    return Selector(f"named({', '.join(map(repr, patterns))})", find)


def from_layer(pattern: str) -> Selector:
    """Select every parameter from the first whose name contains ``pattern`` on, as the code of LLF does.

    Args:
        pattern: ``"layer4"``: that stage of a ResNet and all that follows in the network's order, head and
            normalisation included.
    """

    def find(model: nn.Module) -> list[str]:
        known = [name for name, _ in model.named_parameters()]
        first = next((at for at, name in enumerate(known) if pattern in name), None)
        if first is None:
            raise LetheError(f"no parameter's name contains {pattern!r}.{nearest(pattern, known)}")
        return known[first:]

    return Selector(f"from_layer({pattern!r})", find)


def of_type(*types: type[nn.Module]) -> Selector:
    """Select the parameters that modules of one of these types hold themselves.

    Args:
        types: module classes: ``of_type(nn.Conv2d)``. One of which the network has none is an error, also when it
            has some of another.
    """
    if not types or not all(isinstance(kind, type) and issubclass(kind, nn.Module) for kind in types):
        raise LetheError("of_type() needs module classes, for example of_type(torch.nn.Conv2d).")

    def find(model: nn.Module) -> list[str]:
        for kind in types:
            if not any(isinstance(module, kind) for module in model.modules()):
                raise LetheError(f"this {type(model).__name__} has no module of type {kind.__name__}.")
        held = {id(p) for m in model.modules() if isinstance(m, types) for p in m.parameters(recurse=False)}
        return [name for name, parameter in model.named_parameters() if id(parameter) in held]

    return Selector(f"of_type({', '.join(kind.__name__ for kind in types)})", find)


def learning(select: Select) -> Selector:
    """Those of the parameters that ``select`` chooses that learn: what is frozen could not be relearnt."""

    def find(model: nn.Module) -> list[str]:
        found = [name for name, parameter in selected_parameters(model, select).items() if parameter.requires_grad]
        if not found:
            raise LetheError(f"all that {select!r} selects of this {type(unwrapped(model)).__name__} is frozen.")
        return found

    return Selector(f"learning({select!r})", find)


def selected_parameters(model: nn.Module, select: Select) -> dict[str, Tensor]:
    """The parameters that ``select`` chooses, by name, in the order of ``named_parameters()``.

    Args:
        model: the network; names are those within DistributedDataParallel.
        select: a :class:`Selector`, or a predicate ``f(name)`` or ``f(name, parameter)``; None is
            :data:`weights`.

    Raises:
        LetheError: nothing is selected.
    """
    model = unwrapped(model)
    reshard(model)
    select = weights if select is None else select
    if not callable(select) and not isinstance(select, Selector):
        raise LetheError(f"select must be a selector or a predicate, got {select!r}: for names use named('layer4.*').")
    if isinstance(select, Selector):
        chosen, description = set(select.find(model)), repr(select)
    else:
        takes_one = _takes_one(select)
        chosen = {
            name
            for name, parameter in model.named_parameters()
            if (select(name) if takes_one else select(name, parameter))
        }
        description = f"the predicate {getattr(select, '__name__', select)!r}"
    if not chosen:
        names = [name for name, _ in model.named_parameters()]
        raise LetheError(
            f"{description} selects no parameter of this {type(model).__name__}; it has {len(names)}"
            + (f", {names[0]!r} to {names[-1]!r}." if names else ".")
        )
    return {name: parameter for name, parameter in model.named_parameters() if name in chosen}


def _takes_one(predicate: Callable[..., Any]) -> bool:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    required = [
        p
        for p in inspect.signature(predicate).parameters.values()
        if p.kind in kinds and p.default is inspect.Parameter.empty
    ]
    return len(required) == 1
