"""What every two-pass optimizer can be told about its step, whatever its rule."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import nn

from lethe._check import LetheError, one_of, positive


@dataclass(frozen=True, kw_only=True)
class StepOptions:
    """How a step is made. Keyword arguments of every rule's constructor.

    Attributes:
        batch_statistics: ``"first"``: batch norm's running statistics move once a step, with the first pass.
            ``"every"``: in each pass, as the published codes do.
        dropout: ``"fresh"``: every pass draws its own masks, as the published codes do. ``"same"``: the passes of a
            step draw alike, from torch's generators as they stood before the first.
        step_at: ``"restored"``: the base optimizer steps from the restored weights. ``"perturbed"``: it steps at the
            perturbed ones, so that its weight decay sees them (AWP's and RWP's code), and its update is then applied
            to the restored ones.
        clip_norm: the gradient that the base optimizer steps with is first clipped to this global norm, after
            unscaling; None: it is not.
        clip_ascent: clip the gradients that find the perturbation too, as AMP's published script does.
        modules: the network, or several: batch norm's statistics are then looked for in there, and no hook is needed.
            Compiled networks want this: hooks make ``model.compile()`` compile anew in each step and cannot see into a
            compiled function.
        foreach: perturb and restore with one kernel for many tensors (None or True), or one by one, which is slower and
            needs less memory (False). Handed on to a base optimizer that knows it.
    """

    batch_statistics: str = "first"
    dropout: str = "fresh"
    step_at: str = "restored"
    clip_norm: float | None = None
    clip_ascent: bool = False
    modules: nn.Module | Iterable[nn.Module] | None = None
    foreach: bool | None = None

    def __post_init__(self) -> None:
        one_of("batch_statistics", self.batch_statistics, ("first", "every"))
        one_of("dropout", self.dropout, ("fresh", "same"))
        one_of("step_at", self.step_at, ("restored", "perturbed"))
        if self.clip_norm is not None:
            positive("clip_norm", self.clip_norm)
        if self.clip_ascent and self.clip_norm is None:
            raise LetheError("clip_ascent needs clip_norm, the global norm to clip to; AMP's script: 50.")

    @classmethod
    def take(cls, options: dict[str, Any]) -> StepOptions:
        """Move out of ``options`` what belongs here; ``foreach`` is the base optimizer's as well and stays."""
        found = {f.name: options.pop(f.name) for f in dataclasses.fields(cls) if f.name in options}
        if "foreach" in found:
            options["foreach"] = found["foreach"]
        if not isinstance(found.get("modules"), (nn.Module, type(None))):
            found["modules"] = tuple(found["modules"])
            if not all(isinstance(module, nn.Module) for module in found["modules"]):
                raise LetheError("modules takes the network, or several: modules=model, not its parameters.")
        return cls(**found)

    @property
    def networks(self) -> tuple[nn.Module, ...] | None:
        """``modules`` as a tuple; None where there are none."""
        if self.modules is None:
            return None
        return (self.modules,) if isinstance(self.modules, nn.Module) else tuple(self.modules)
