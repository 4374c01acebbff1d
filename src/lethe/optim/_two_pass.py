"""The step that all two-pass optimizers share: gradient, perturb, gradient there, come back, base step."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from lethe._check import one_of
from lethe.optim._batch_statistics import frozen_batch_statistics

Result = TypeVar("Result")


class TwoPassOptimizer(Optimizer):
    """Take the gradient at perturbed weights, restore the weights bit for bit, let a base optimizer step.

    A method is a subclass with a rule: :meth:`_passes` says how often a parameter group is perturbed in a step,
    :meth:`_perturb` moves the weights. Everything else stands here once:

    * The weights are copied before the first perturbation and copied back in place before the base step (and
      after an error in a pass), so no rounding drifts in, and their addresses stay.
    * ``param_groups`` and ``state`` *are* those of the base optimizer, so every scheduler works, and
      ``state_dict()`` is the base optimizer's: momentum survives a resume, nothing transient is saved.
    * Batch norm's running statistics move once a step, with the pass at the unperturbed weights
      (``batch_statistics="first"``); ``"every"`` lets all passes count, as the published codes do.

    Args:
        params: parameters or parameter groups, as for any torch optimizer.
        base_optimizer: the torch optimizer class that makes the final step.
        rule_defaults: the method's own per-group options.
        base_kwargs: what the base optimizer is built with.
        batch_statistics: ``"first"`` or ``"every"``.
    """

    base_optimizer: Optimizer

    def __init__(
        self,
        params: ParamsT,
        base_optimizer: Callable[..., Optimizer],
        rule_defaults: dict[str, Any],
        base_kwargs: dict[str, Any],
        batch_statistics: str = "first",
    ) -> None:
        one_of("batch_statistics", batch_statistics, ("first", "every"))
        super().__init__(params, dict(rule_defaults))
        self.batch_statistics = batch_statistics
        self._rule_defaults = dict(rule_defaults)
        self._saved: dict[Tensor, Tensor] = {}
        self._delta: dict[Tensor, Tensor] = {}
        self.base_optimizer = base_optimizer(self.param_groups, **base_kwargs)
        self.defaults = {**self.base_optimizer.defaults, **rule_defaults}
        self._share_with_base()

    @abstractmethod
    def _passes(self, group: dict[str, Any]) -> int:
        """How many perturbed passes this group takes part in."""

    @abstractmethod
    def _perturb(self, inner: int) -> None:
        """Move the weights for perturbed pass ``inner`` (from 0), from the gradients of the pass before."""

    def _check_group(self, group: dict[str, Any]) -> None:
        """Raise for options of a group that are out of range."""

    @torch.no_grad()
    def step(self, closure: Callable[[], Result]) -> Result:  # type: ignore[override]
        """Make one step and return what the first call of ``closure``, at the unperturbed weights, returned.

        Args:
            closure: zeroes the gradients, runs forward and backward, and returns whatever it likes. It is called
                once at the weights and once for each perturbed pass.

        Raises:
            TypeError: there is no closure.
            RuntimeError: after the first call no parameter has a gradient.
        """
        if closure is None:
            raise TypeError(
                f"{type(self).__name__}.step needs a closure that zeroes the gradients, runs forward and backward and "
                "returns what you want back: it runs at the weights and again at the perturbed weights."
            )
        run_pass = torch.enable_grad()(closure)
        result = run_pass()
        weights = [p for group in self.param_groups for p in group["params"] if p.requires_grad]
        if all(p.grad is None for p in weights):
            raise RuntimeError(
                "no parameter has a gradient after the closure: let it call loss.backward() before it returns, on a "
                "loss that depends on the parameters given to this optimizer."
            )
        passes = max(self._passes(group) for group in self.param_groups)
        if passes:
            saved = [self._buffer(self._saved, p) for p in weights]
            torch._foreach_copy_(saved, weights)
            statistics = frozen_batch_statistics if self.batch_statistics == "first" else nullcontext
            try:
                for inner in range(passes):
                    self._perturb(inner)
                    with statistics():
                        run_pass()
            finally:
                torch._foreach_copy_(weights, saved)
        self.base_optimizer.step()
        return result

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a parameter group; options that it does not name take this optimizer's defaults."""
        if "base_optimizer" not in self.__dict__:  # torch's own constructor is building the first groups
            super().add_param_group(param_group)
            self._check_group(param_group)
            return
        for key, value in self._rule_defaults.items():
            param_group.setdefault(key, value)
        self._check_group(param_group)
        self.base_optimizer.add_param_group(param_group)

    def state_dict(self) -> dict[str, Any]:
        """Return the base optimizer's whole state; this optimizer has none of its own between steps."""
        return self.base_optimizer.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load what :meth:`state_dict` returned."""
        self.base_optimizer.load_state_dict(state_dict)
        self._share_with_base()

    def __getstate__(self) -> dict[str, Any]:
        # torch's own keeps three entries only and would lose the base optimizer in a pickle or a deep copy.
        keep = ("base_optimizer", "defaults", "batch_statistics", "_rule_defaults")
        return {key: self.__dict__[key] for key in keep} | self._extra_state()

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._saved, self._delta = {}, {}
        self._share_with_base()

    def _extra_state(self) -> dict[str, Any]:
        """Attributes of a subclass that a copy must have."""
        return {}

    def _share_with_base(self) -> None:
        self.param_groups = self.base_optimizer.param_groups
        self.state = self.base_optimizer.state

    @staticmethod
    def _buffer(store: dict[Tensor, Tensor], weight: Tensor) -> Tensor:
        """A tensor like ``weight`` that is allocated once and keeps its address from step to step."""
        buffer = store.get(weight)
        if (
            buffer is None
            or buffer.shape != weight.shape
            or buffer.device != weight.device
            or buffer.dtype != weight.dtype
        ):
            buffer = store[weight] = torch.empty_like(weight, memory_format=torch.preserve_format).detach()
        return buffer
