"""The step that all two-pass optimizers share: gradient, perturb, gradient there, come back, base step."""

from __future__ import annotations

import dataclasses
import inspect
from abc import abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar, cast

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from lethe._batch_statistics import frozen_batch_statistics, refuse_unseen_network
from lethe._check import LetheError
from lethe.optim import _tensors
from lethe.optim._step_options import StepOptions

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
        options: those of the step (:class:`StepOptions`), and what the base optimizer is built with.
    """

    base_optimizer: Optimizer
    _first_pass_at_weights = True

    def __init__(
        self,
        params: ParamsT,
        base_optimizer: Callable[..., Optimizer],
        rule_defaults: dict[str, Any],
        options: dict[str, Any],
    ) -> None:
        self._check_group(rule_defaults)
        base_options = dict(options)
        step_options = StepOptions.take(base_options)
        _fit_to_base(base_optimizer, base_options, rule_defaults)
        super().__init__(params, dict(rule_defaults))
        self.step_options = step_options
        self._foreach = step_options.foreach is not False
        self._rule_defaults = dict(rule_defaults)
        self._saved: dict[Tensor, Tensor] = {}
        self._delta: dict[Tensor, Tensor] = {}
        self._ascents: list[_Ascent] = []
        self._bare = False
        self._in_step: frozenset[int] = frozenset()
        self.base_optimizer = base_optimizer(self.param_groups, **base_options)
        _refuse_own_closure(self.base_optimizer)
        self.defaults = {**self.base_optimizer.defaults, **rule_defaults}
        self._share_with_base()
        self._share_after_loading()
        for group in self.param_groups:
            _refuse_maximize(group)

    @abstractmethod
    def _passes(self, group: dict[str, Any]) -> int:
        """How many perturbed passes this group takes part in."""

    @abstractmethod
    def _perturb(self, inner: int) -> None:
        """Move the weights for perturbed pass ``inner`` (from 0), from the gradients of the pass before."""

    def _check_group(self, group: dict[str, Any]) -> None:
        """Raise for options of a group that are out of range."""

    @torch.no_grad()
    def step(
        self,
        closure: Callable[[], Result] | None = None,
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
                "returns what you want back: it runs at the weights and again at the perturbed weights. Whatever steps "
                "without one, as torch.distributed.checkpoint does, takes optimizer.base_optimizer."
            )
        last, ascend = torch.enable_grad()(closure), torch.enable_grad()(ascent_closure or closure)
        passes = max(self._passes(group) for group in self.param_groups)
        weights, how = self._weights(), self.step_options
        self._in_step = frozenset(map(id, weights))
        self._refuse_with_scaler(grad_scaler, passes)
        saved: list[Tensor] = []
        if passes:
            saved = [self._buffer(self._saved, p) for p in weights]
            _tensors.copy_(saved, weights, foreach=self._foreach)
        results: list[Result] = []
        updates: list[Tensor] | None = None
        overflow: Tensor | None = None  # 0, or nan once an ascent's gradients were not finite
        first = 0 if self._first_pass_at_weights or not passes else 1
        draws = _Draws(weights[0].device) if how.dropout == "same" else None
        try:
            for number in range(first, passes + 1):  # pass 0 is at the weights, the last one's gradient is stepped with
                is_last = number == passes
                if number:
                    self._perturb(number - 1)
                    if overflow is not None:  # nan here makes the last gradients nan, under DDP on every rank
                        _tensors.shift_(weights, overflow)
                    torch.clear_autocast_cache()  # in which an outer autocast keeps the weights as they were
                if number > first:
                    self._zero_stale_gradients(weights)
                    if draws is not None:
                        draws.again()
                still = number > first and how.batch_statistics == "first"
                everything = grad_scaler is not None  # no buffer may keep what an overflow makes of it
                statistics = frozen_batch_statistics(how.networks, weights, everything) if still else nullcontext()
                with statistics as kept, nullcontext() if is_last else ascent_context():
                    returned = last() if is_last else ascend()
                if kept is not None and not kept.network_seen and not self._bare:
                    refuse_unseen_network(weights)
                    self._bare = True  # the weights belong to no module, which takes a while to find out
                if not results and (is_last or ascent_closure is None):
                    results.append(cast("Result", returned))
                gradients = self._gradients(weights, required=number == first)
                if grad_scaler is not None:
                    overflow = self._unscale(grad_scaler, None if is_last else number, gradients, overflow)
                if how.clip_norm is not None and gradients and (is_last or how.clip_ascent):
                    norm = _tensors.norm_of_all(gradients, foreach=self._foreach)
                    factor = (how.clip_norm / (norm + 1e-6)).clamp_(max=1.0)  # as torch's clip_grad_norm_
                    _tensors.scale_(gradients, factor, foreach=self._foreach)
            if passes and how.step_at == "perturbed":
                updates = self._updates_at_perturbed(weights)
        finally:
            if passes:
                _tensors.copy_(weights, saved, foreach=self._foreach)
                torch.clear_autocast_cache()
        if updates is not None:
            _tensors.add_(weights, updates, foreach=self._foreach)
        elif grad_scaler is not None:
            grad_scaler.step(self.base_optimizer)
        else:
            self.base_optimizer.step()
        return results[0]

    def _refuse_with_scaler(self, grad_scaler: torch.amp.GradScaler | None, passes: int) -> None:
        """What an overflow would break for good, it being known only when the step has been made."""
        if grad_scaler is None or not passes:
            return
        if self.step_options.step_at == "perturbed":
            raise LetheError("step_at='perturbed' cannot be right with a GradScaler: an overflow could not be undone.")
        if self.step_options.batch_statistics == "every" and self._first_pass_at_weights:
            raise LetheError(
                "batch_statistics='every' cannot be right with a GradScaler: after an overflow the perturbed pass runs "
                "at weights that are not finite, and so would the running statistics be from then on."
            )

    def _unscale(
        self, scaler: torch.amp.GradScaler, ascent: int | None, gradients: list[Tensor], overflow: Tensor | None
    ) -> Tensor | None:
        """Unscale a pass's gradients; return 0, or nan if they, or those of a pass before, were not finite.

        The last pass's gradients become nan after any overflow, so that the scaler sees it and skips the step.
        """
        if ascent is None:
            if overflow is not None:
                _tensors.shift_(gradients, overflow)
            scaler.unscale_(self.base_optimizer)
            return overflow
        scaler.unscale_(self._ascent(ascent))
        if gradients:
            not_finite = _tensors.norm_of_all(gradients, foreach=self._foreach) * 0
            overflow = not_finite if overflow is None else overflow + not_finite
        return overflow

    def _zero_stale_gradients(self, weights: list[Tensor]) -> None:
        """Should the closure not zero them: two passes never belong into one gradient."""
        stale = [p.grad for p in weights if p.grad is not None]
        if stale:
            _tensors.zero_(stale, foreach=self._foreach)

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

    def _moving(self, group: dict[str, Any]) -> list[Any]:
        """The group's weights that this step may perturb: those that learnt when it began, and so were saved."""
        return [p for p in group["params"] if id(p) in self._in_step]

    @staticmethod
    def _gradients(weights: list[Tensor], *, required: bool) -> list[Tensor]:
        gradients = [p.grad for p in weights if p.grad is not None]
        if required and not gradients:
            raise RuntimeError(
                "no parameter has a gradient after the closure: let it call loss.backward() before it returns, on a "
                "loss that depends on the parameters given to this optimizer."
            )
        return gradients

    def _updates_at_perturbed(self, weights: list[Tensor]) -> list[Tensor]:
        """Let the base optimizer step where the weights are, and return by how much it moved each."""
        moved = [p.clone() for p in _tensors.local(weights)]
        self.base_optimizer.step()
        for before, after in zip(moved, _tensors.local(weights), strict=True):
            torch.sub(after, before, out=before)
        return moved

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a parameter group; options that it does not name take this optimizer's defaults."""
        if "base_optimizer" not in self.__dict__:  # torch's own constructor is building the first groups
            super().add_param_group(param_group)
            self._check_group(param_group)
            return
        for key, value in self._rule_defaults.items():
            param_group.setdefault(key, value)
        self._check_group(param_group)
        _refuse_maximize(param_group)
        self.base_optimizer.add_param_group(param_group)

    def state_dict(self) -> dict[str, Any]:
        """Return the base optimizer's whole state; this optimizer has none of its own between steps."""
        return self.base_optimizer.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load what :meth:`state_dict` returned, or a state of the base optimizer alone."""
        self.base_optimizer.load_state_dict(state_dict)

    def __getstate__(self) -> dict[str, Any]:
        # torch's own keeps three entries only and would lose the base optimizer in a pickle or a deep copy.
        keep = ("base_optimizer", "defaults", "step_options", "_foreach", "_rule_defaults")
        return {key: self.__dict__[key] for key in keep} | self._extra_state()

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._saved, self._delta, self._ascents, self._bare = {}, {}, [], False
        self._in_step = frozenset()
        self._share_with_base()
        self._share_after_loading()

    def _extra_state(self) -> dict[str, Any]:
        """Attributes of a subclass that a copy must have."""
        return {}

    def _share_with_base(self) -> None:
        self.param_groups = self.base_optimizer.param_groups
        self.state = self.base_optimizer.state

    def _share_after_loading(self) -> None:
        """Whoever loads into the base optimizer, also past this one, gives it other groups and another state."""

        def loaded(base: Optimizer) -> None:
            self._share_with_base()
            for group in self.param_groups:  # a state of the base optimizer alone, or of another rule, lacks ours
                for key, value in self._rule_defaults.items():
                    group.setdefault(key, value)
                self._check_group(group)
                _refuse_maximize(group)

        self.base_optimizer.register_load_state_dict_post_hook(loaded)

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


def _refuse_maximize(group: dict[str, Any]) -> None:
    """Perturbations climb the loss, which would help one that is maximised."""
    if group.get("maximize"):
        raise LetheError("maximize=True cannot be perturbed against: minimise the negative of the loss.")


def _refuse_own_closure(base: Optimizer) -> None:
    """The base optimizer steps with gradients that are there; one that asks for a closure would perturb within ours."""
    closure = inspect.signature(type(base).step).parameters.get("closure")
    if isinstance(base, TwoPassOptimizer) or (closure is not None and closure.default is inspect.Parameter.empty):
        raise LetheError(f"{type(base).__name__} steps by a closure of its own, and cannot be put below another rule.")


def _fit_to_base(base_optimizer: Callable[..., Optimizer], options: dict[str, Any], rule: dict[str, Any]) -> None:
    """Refuse what the base optimizer does not know, in place of Python's message about its __init__.

    Groups hold the rule's options beside the base optimizer's, so one name cannot mean both.
    """
    if not callable(base_optimizer):
        raise LetheError(
            f"base_optimizer must be an optimizer's class, got {base_optimizer!r}: "
            "name the others, as in (params, torch.optim.SGD, lr=0.1)."
        )
    known = inspect.signature(base_optimizer).parameters
    name = getattr(base_optimizer, "__name__", "the base optimizer")
    shared = set(rule) & set(known)
    if shared:
        raise LetheError(f"{name} has an option {min(shared)!r} of its own: this rule cannot be put over it.")
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in known.values()):
        return
    if "foreach" not in known:
        options.pop("foreach", None)
    for option in options:
        if option not in known:
            ours = ", ".join(field.name for field in dataclasses.fields(StepOptions))
            hint = " (epsilon is given too)" if option == "eps" else ""
            theirs = ", ".join(list(known)[1:])
            raise LetheError(f"{name} has no option {option!r}{hint}; it takes {theirs}; every rule takes {ours}.")
