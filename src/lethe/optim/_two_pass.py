"""The step that all two-pass optimizers share: gradient, perturb, gradient there, come back, base step."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar, cast

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from lethe._check import LetheError, one_of
from lethe.optim._batch_statistics import frozen_batch_statistics
from lethe.optim._shards import local, norm_of_all

Result = TypeVar("Result")


class TwoPassOptimizer(Optimizer):
    """Take the gradient at perturbed weights, restore the weights bit for bit, let a base optimizer step.

    A method is a subclass with a rule: :meth:`_passes` says how often a parameter group is perturbed in a step,
    :meth:`_perturb` moves the weights. Everything else stands here once:

    * The weights are copied before the first perturbation and copied back in place before the base step (and
      after an error in a pass), so no rounding drifts in, and their addresses stay.
    * ``param_groups`` and ``state`` *are* those of the base optimizer, so every scheduler works, and
      ``state_dict()`` is the base optimizer's: momentum survives a resume, nothing transient is saved.
    * Batch norm's running statistics move once a step, with the first pass (``batch_statistics="first"``);
      ``"every"`` lets all passes count, as the published codes do.

    Args:
        params: parameters or parameter groups, as for any torch optimizer.
        base_optimizer: the torch optimizer class that makes the final step.
        rule_defaults: the method's own per-group options.
        base_kwargs: what the base optimizer is built with.
        batch_statistics: ``"first"`` or ``"every"``.
        dropout: ``"fresh"``: every pass draws its own mask, as the published codes do. ``"same"``: the passes of a step
            draw alike, from torch's generators as they stood before the first.
        step_at: ``"restored"``: the base optimizer steps from the restored weights. ``"perturbed"``: it steps at the
            perturbed ones, so that its weight decay sees them, and its update is then applied to the restored ones.
    """

    base_optimizer: Optimizer
    _first_pass_at_weights = True

    def __init__(
        self,
        params: ParamsT,
        base_optimizer: Callable[..., Optimizer],
        rule_defaults: dict[str, Any],
        base_kwargs: dict[str, Any],
        *,
        batch_statistics: str = "first",
        dropout: str = "fresh",
        step_at: str = "restored",
    ) -> None:
        self._check_group(rule_defaults)
        one_of("batch_statistics", batch_statistics, ("first", "every"))
        one_of("dropout", dropout, ("fresh", "same"))
        one_of("step_at", step_at, ("restored", "perturbed"))
        _refuse_unknown(base_optimizer, base_kwargs)
        _refuse_shared(base_optimizer, rule_defaults)
        super().__init__(params, dict(rule_defaults))
        self.batch_statistics, self.dropout, self.step_at = batch_statistics, dropout, step_at
        self._rule_defaults = dict(rule_defaults)
        self._saved: dict[Tensor, Tensor] = {}
        self._delta: dict[Tensor, Tensor] = {}
        self._ascents: list[_Ascent] = []
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
    def step(  # type: ignore[override]
        self,
        closure: Callable[[], Result],
        ascent_closure: Callable[[], object] | None = None,
        *,
        grad_scaler: torch.amp.GradScaler | None = None,
        ascent_context: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> Result:
        """Make one step and return what the first call of ``closure`` returned.

        Args:
            closure: zeroes the gradients, runs forward and backward, and returns whatever it likes. It is called at
                the weights and at each perturbation; the base optimizer steps with the gradient of its last call.
            ascent_closure: the same for the passes that only find the perturbation, in place of ``closure``, which
                is then called once, at the last. RWP's keeps the samples with a small loss alone.
            grad_scaler: for fp16 autocast; the closures then call ``grad_scaler.scale(loss).backward()``, and neither
                unscale nor clip; you call ``grad_scaler.update()`` after the step. The gradients of every pass are
                unscaled; an overflow in any of them skips the step and leaves weights and momentum as they were.
            ascent_context: entered around every pass but the last. ``ddp_model.no_sync`` keeps those passes free of
                communication: each rank then perturbs by its own gradient.

        Raises:
            TypeError: there is no closure.
            RuntimeError: after the first pass no parameter has a gradient, or all parameters are frozen.
        """
        if closure is None:
            raise TypeError(
                f"{type(self).__name__}.step needs a closure that zeroes the gradients, runs forward and backward and "
                "returns what you want back: it runs at the weights and again at the perturbed weights."
            )
        last, ascend = torch.enable_grad()(closure), torch.enable_grad()(ascent_closure or closure)
        passes = max(self._passes(group) for group in self.param_groups)
        weights = self._weights()
        if grad_scaler is not None and self.step_at == "perturbed":
            raise LetheError("step_at='perturbed' cannot be right with a GradScaler: an overflow could not be undone.")
        if not passes:
            result = last()
            self._require_gradients(weights)
            self.base_optimizer.step() if grad_scaler is None else grad_scaler.step(self.base_optimizer)
            return result
        saved = [self._buffer(self._saved, p) for p in weights]
        torch._foreach_copy_(local(saved), local(weights))
        results: list[Result] = []
        overflow = torch.zeros((), device=weights[0].device)
        first = 0 if self._first_pass_at_weights else 1
        draws = _Draws(weights[0].device) if self.dropout == "same" else None
        try:
            for number in range(first, passes + 1):  # pass 0 is at the weights, the last one's gradient is stepped with
                if number:
                    self._perturb(number - 1)
                if number > first:
                    stale = [p.grad for p in weights if p.grad is not None]
                    if stale:  # should the closure not zero them: two passes never belong into one gradient
                        torch._foreach_zero_(local(stale))
                    if draws is not None:
                        draws.again()
                still = number > first and self.batch_statistics == "first"
                statistics = frozen_batch_statistics() if still else nullcontext()
                with statistics, nullcontext() if number == passes else ascent_context():
                    returned = last() if number == passes else ascend()
                if grad_scaler is not None and number < passes:
                    grad_scaler.unscale_(self._ascent(number))
                    overflow = overflow + _not_finite(weights)
                if not results and (number == passes or ascent_closure is None):
                    results.append(cast("Result", returned))
                if number == first:
                    self._require_gradients(weights)
            updates = self._updates_at_perturbed(weights) if self.step_at == "perturbed" else None
        finally:
            torch._foreach_copy_(local(weights), local(saved))
        if updates is not None:
            torch._foreach_add_(local(weights), updates)
        elif grad_scaler is not None:
            # Where an ascent overflowed this makes the last gradients nan, so that the scaler sees it and skips.
            torch._foreach_add_(local([p.grad for p in weights if p.grad is not None]), overflow)
            grad_scaler.step(self.base_optimizer)
        else:
            self.base_optimizer.step()
        return results[0]

    def _ascent(self, number: int) -> Optimizer:
        """Something with our parameter groups, one a pass: a scaler unscales each optimizer once a step."""
        while len(self._ascents) <= number:
            self._ascents.append(_Ascent())
        self._ascents[number].param_groups = self.param_groups
        return cast("Optimizer", self._ascents[number])

    def _weights(self) -> list[Tensor]:
        weights = [p for group in self.param_groups for p in group["params"] if p.requires_grad]
        if not weights:
            raise RuntimeError("every parameter given to this optimizer is frozen (requires_grad is False).")
        return weights

    @staticmethod
    def _require_gradients(weights: list[Tensor]) -> None:
        if all(p.grad is None for p in weights):
            raise RuntimeError(
                "no parameter has a gradient after the closure: let it call loss.backward() before it returns, on a "
                "loss that depends on the parameters given to this optimizer."
            )

    def _updates_at_perturbed(self, weights: list[Tensor]) -> list[Tensor]:
        """Let the base optimizer step where the weights are, and return by how much it moved each."""
        perturbed = [p.clone() for p in local(weights)]
        self.base_optimizer.step()
        return list(torch._foreach_sub(local(weights), perturbed))

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
        """Load what :meth:`state_dict` returned, or a state of the base optimizer alone."""
        self.base_optimizer.load_state_dict(state_dict)
        self._share_with_base()
        for group in self.param_groups:  # a state of the base optimizer alone, or of another rule, lacks ours
            for key, value in self._rule_defaults.items():
                group.setdefault(key, value)
            self._check_group(group)

    def __getstate__(self) -> dict[str, Any]:
        # torch's own keeps three entries only and would lose the base optimizer in a pickle or a deep copy.
        keep = ("base_optimizer", "defaults", "batch_statistics", "dropout", "step_at", "_rule_defaults")
        return {key: self.__dict__[key] for key in keep} | self._extra_state()

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._saved, self._delta, self._ascents = {}, {}, []
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


class _Draws:
    """The state of torch's generators at one moment, to draw the same again."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.cpu = torch.get_rng_state()
        self.cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None

    def again(self) -> None:
        torch.set_rng_state(self.cpu)
        if self.cuda is not None:
            torch.cuda.set_rng_state(self.cuda, self.device)


class _Ascent:
    """What a GradScaler needs to know of an optimizer."""

    param_groups: list[dict[str, Any]]


def _not_finite(weights: list[Tensor]) -> Tensor:
    """0 if all gradients are finite, else nan; without waiting for the device."""
    return norm_of_all([p.grad for p in weights if p.grad is not None]) * 0


def _refuse_unknown(base_optimizer: Callable[..., Optimizer], kwargs: dict[str, Any]) -> None:
    """Name the option that the base optimizer does not take, in place of Python's message about its __init__."""
    known = inspect.signature(base_optimizer).parameters
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in known.values()):
        return
    name = getattr(base_optimizer, "__name__", "the base optimizer")
    for option in kwargs:
        if option not in known:
            hint = " (epsilon is given too)" if option == "eps" else ""
            raise LetheError(f"{name} has no option {option!r}{hint}; it takes {', '.join(list(known)[1:])}.")


def _refuse_shared(base_optimizer: Callable[..., Optimizer], rule: dict[str, Any]) -> None:
    """Groups hold the rule's options beside the base optimizer's: one name cannot mean both."""
    shared = set(rule) & set(inspect.signature(base_optimizer).parameters)
    if shared:
        name = getattr(base_optimizer, "__name__", "the base optimizer")
        raise LetheError(f"{name} has an option {min(shared)!r} of its own: this rule cannot be put over it.")
