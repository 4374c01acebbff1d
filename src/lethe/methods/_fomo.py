"""FOMO: alternate forgetting and relearning, held by a stable model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lethe._check import LetheError, non_negative
from lethe._check import fraction as check_fraction
from lethe._shards import agreed, groups
from lethe.consolidate import StableModel, Teacher, consistency_loss
from lethe.forget import CRITERIA, ForgettingSchedule, Forgotten, Select, reinitialize
from lethe.forget._criteria import Batches
from lethe.forget._fresh import check_redraw
from lethe.forget._select import learning, selected_parameters
from lethe.methods._fomo_checks import check_optimizer, plain, warn_of_other_settings
from lethe.methods._fomo_config import FOMOConfig
from lethe.methods._loop_watch import LoopWatch, warn_of_nothing, warn_of_silence, warn_without_batches
from lethe.methods._relearning_rate import RelearningRate
from lethe.methods._span import Span
from lethe.methods._stable_statistics import StableStatistics


class FOMO:
    """Random forgetting against robust overfitting (Ramkumar, Zonooz and Arani, ICLR 2024, arXiv 2402.11733).

    From epoch ``start`` on, each ``period`` epochs, a random ``fraction`` of the later layers' weights is re-drawn
    (*forgetting*) and the epochs between train them anew (*relearning*). A moving average of the weights, the
    *stable model*, consolidates what outlives this, and after the first forgetting a consistency loss holds the
    working model to it. Put it into a loop of your own with three lines::

        fomo = FOMO(model, optimizer, start=10, period=4, fraction=0.25)
        for epoch in range(epochs):
            fomo.begin_epoch(epoch)                                    # 1
            for x, y in loader:
                x_adv = attack(model, x, y)
                logits = model(x_adv)
                loss = cross_entropy(logits, y) + fomo.consistency(x_adv, logits)   # 2
                optimizer.zero_grad(); loss.backward(); optimizer.step()
                fomo.end_step()                                        # 3
        evaluate(fomo.stable)

    ``start="auto"`` begins when overfitting has set in; tell it the validation accuracy after each epoch, with
    ``fomo.observe(accuracy)``.

    Cost: the average, which is element-wise, and after the first forgetting one forward pass of the stable model for
    each step, in however many passes the optimizer makes it. ``clean_consistency`` costs 1F more a step and 3F a pass.

    Args:
        model: the working network; within DistributedDataParallel or sharded by FSDP2, too.
        optimizer: what it learns in the forgotten weights (momentum, Adam's moments) is cleared; None: no clearing.
        start: first epoch, counted from 0, that begins with a forgetting; or ``"auto"``.
        period: epochs from one forgetting to the next.
        fraction: share of the selected weights to forget, in [0, 1].
        select: which parameters may be forgotten; default: the later three quarters of the convolutional and linear
            layers. Frozen ones are not, as they could not be relearnt.
        decay: of the stable model's moving average, per update, in [0, 1]; None: such that it spans ``average_phases``
            relearning phases, whose steps are counted in the first epoch.
        consistency: weight of the consistency loss; 0 leaves it and its forward pass out.
        generator: source of the masks and of the new weights; None is torch's global one, on several ranks that of the
            first.
        stable: a ready copy of the network for the stable model; needed under FSDP2.
        options: the other options of :class:`lethe.methods.FOMOConfig`: ``patience``, ``relearn_lr``, ``criterion``,
            ``granularity``, ``count``, ``reinit``, ``average``, ``distance``, …; ``lethe train fomo --help`` describes
            each.

    Raises:
        LetheError: a value out of range, an unknown option, or ``select`` matches nothing (found here, not at the
            first forgetting).

    Where paper and Lethe differ:
        The paper's repository holds no code, and the constants could not be read; ``start=105`` of 200 epochs,
        ``period=5``, ``fraction=0.035`` and ``decay=0.999`` are from memory and unverified, under a falling learning
        rate. The defaults here are those of a constant one, at which forgetting was measured to pay
        (``results/fomo-small``).
        Unknown in the paper and decided here: the average moves at every step (``average="phase"`` is the reading that
        consolidates once, at the end of a relearning phase; at a decay of 0.999 it would hardly move after its ramp);
        batch norm's statistics with it until the first forgetting, and from then on they are measured on the images
        that the stable model is asked about (``stable_statistics="recompute"``, on training images after each epoch,
        did as well in the study, where averaging them did as well on one protocol and much worse on the other);
        forgotten weights are drawn from their layer's own initialiser and
        their momentum is cleared; the consistency loss is ``KL(stable ‖ working)`` on the images that are trained on.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer | None = None,
        *,
        start: int | str = 10,
        period: int = 4,
        fraction: float = 0.25,
        select: Select = None,
        decay: float | None = None,
        consistency: float = 1.0,
        generator: torch.Generator | None = None,
        stable: nn.Module | None = None,
        **options: Any,
    ) -> None:
        self.options = o = FOMOConfig.take(options)
        self.schedule = ForgettingSchedule(start, period, o.patience)
        self.fraction = check_fraction("fraction", fraction)
        self.consistency_weight = non_negative("consistency", consistency)
        own = {"start": start, "period": period, "fraction": fraction, "decay": decay, "consistency": consistency}
        self._settings = plain(vars(o) | own)
        for name in ("forget_only", "later_layers"):
            if select is not None and options.get(name):
                raise LetheError(f"select and {name} both say what may be forgotten: leave one out.")
        chosen = o.selector() if select is None else select
        self.select = learning(chosen)
        self.model, self.optimizer, self.generator = model, optimizer, generator
        self.forgettings = 0
        self._epoch, self._forgot_at = -1, -1  # the epoch that began last, and that of the last forgetting
        self._consolidated_for = -1  # the epoch before whose forgetting the last phase was consolidated
        self._loop = LoopWatch()
        self._span: Span | None = None  # while it is for the average to find its decay
        if decay is None and o.average == "phase":
            decay = 1.0 - 1.0 / o.average_phases
        elif decay is None:
            self._span = o.span(period)
            decay = self._span.decay
        self._stable = StableModel(model, decay, stable, ramp=o.ramp)
        self._statistics = StableStatistics(o.stable_statistics, self._stable, model)
        self._teacher = Teacher(self._stable.module)
        selected = selected_parameters(model, self.select)  # this and the checks: now, and not at the first forgetting
        check_optimizer(optimizer, selected)
        CRITERIA[o.criterion].check(model, o.wanted(self.fraction, self.select))
        check_redraw(model, selected, o.reinit)
        self._initial: dict[str, Tensor] | None = None
        if o.reinit == "rewind":  # of frozen weights, too: they may learn later
            self._initial = {n: p.detach().clone() for n, p in selected_parameters(model, chosen).items()}
        if o.relearn_lr is not None and optimizer is None:
            raise LetheError("relearn_lr sets the optimizer's learning rate: give FOMO the optimizer.")
        self._relearning = None
        if o.relearn_lr is not None and optimizer is not None:
            self._relearning = RelearningRate(optimizer, o.relearn_lr)

    @property
    def stable(self) -> nn.Module:
        """The stable model, in evaluation mode, without gradients."""
        return self._stable.module

    @property
    def start(self) -> int | None:
        """The epoch of the first forgetting; None as long as an automatic start is not known."""
        return self.schedule.start

    @property
    def period(self) -> int:
        """Epochs from one forgetting to the next."""
        return self.schedule.period

    def begin_epoch(self, epoch: int, batches: Batches | None = None) -> Forgotten | None:
        """Forget, when this epoch (from 0) is due.

        A second call for the same epoch does nothing: a run that is resumed within an epoch may make it.

        Args:
            epoch: from 0.
            batches: images (B, C, H, W), attacked as they are trained on, and labels (B,), for a criterion that looks
                at data. They are read only when it forgets, and only as many as it needs.

        Returns:
            What was forgotten, or None.

        Raises:
            LetheError: the criterion needs ``batches``, and there are none.
        """
        epoch = int(epoch)  # numpy's, say, would make a state that torch.load refuses
        if self._span is not None and epoch != self._epoch:
            self._span.begin_epoch()
            self._stable.decay = self._span.decay
        if epoch != self._epoch >= 0:
            self._look_back()
        if self._epoch < 0 and batches is None and CRITERIA[self.options.criterion].needs_batches:
            warn_without_batches(self.options.criterion)
        self._epoch = epoch
        silent = self.schedule.automatic and not self.schedule.observations
        if silent and self._loop.own and epoch == self.schedule.patience:
            warn_of_silence(epoch)
        forgotten = None
        if self.schedule.due(epoch) and epoch != self._forgot_at:
            self._consolidate_phase(epoch)
            forgotten = self._forget(batches)
            self.forgettings, self._forgot_at = self.forgettings + 1, epoch
        self._set_learning_rate()
        return forgotten

    def consistency(self, x: Tensor, logits: Tensor, clean: Tensor | None = None) -> Tensor:
        """The weighted consistency loss, a scalar; 0 before the first forgetting.

        Args:
            x: images, (B, C, H, W) in [0, 1], that gave ``logits``.
            logits: of the working model, (B, K).
            clean: the same images before they were attacked; ``clean_consistency`` runs the working model on them,
                in the mode it is in, as TRADES does.

        Raises:
            LetheError: ``clean_consistency`` is above 0, and there is no ``clean``.
        """
        if self.options.clean_consistency > 0 and clean is None:
            raise LetheError("clean_consistency needs the clean images: consistency(x, logits, clean).")
        loss = logits.new_zeros(())
        if self.forgettings == 0:
            return loss
        if self.consistency_weight > 0:
            loss = self.consistency_weight * self._distance(logits, self._stable_logits(x))
        if clean is not None and self.options.clean_consistency > 0:
            distance = self._distance(self.model(clean), self._stable_logits(clean))
            loss = loss + self.options.clean_consistency * distance
        return loss

    def end_step(self) -> None:
        """Move the stable model; call it after each step of the optimizer, and of its schedule if that has steps."""
        self._loop.stepped = True
        self._set_learning_rate()
        self._teacher.forget()
        if self._span is not None:
            self._span.end_step()
        measured = self._statistics.end_step()
        if self.options.average == "step" or (self.options.average == "stochastic" and self._draws_an_update()):
            self._stable.update(self.model, leave=measured)

    def end_epoch(self, epoch: int, images: Callable[[], Iterable[Tensor]] | None = None) -> None:
        """End an epoch; of use to ``average="phase"`` and ``stable_statistics="recompute"`` alone.

        Args:
            epoch: from 0.
            images: runs through the training images, in batches (B, C, H, W), once more.
        """
        self._loop.ended = True
        following = int(epoch) + 1
        if self.options.average == "phase":
            if self.schedule.due(following):
                self._consolidate_phase(following)
            elif self.forgettings == 0:  # there is no phase to consolidate yet
                self._stable.follow(self.model)
        self._statistics.end_epoch(images)

    def observe(self, accuracy: float) -> None:
        """Tell the automatic start the working model's validation accuracy, after the epoch that it was measured in.

        Args:
            accuracy: robust if training is; in [0, 1] or in percent.
        """
        self.schedule.observe(accuracy, self._epoch)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs: stable model, schedule, forgettings, and the generator's state if there is one."""
        state: dict[str, Any] = {
            "stable": self._stable.state_dict(),
            "forgettings": self.forgettings,
            "forgot_at": self._forgot_at,
            "epoch": self._epoch,
            "loop": self._loop.state_dict(),
            "consolidated_for": self._consolidated_for,
            "statistics": self._statistics.state_dict(),
            "schedule": self.schedule.state_dict(),
            "span": None if self._span is None else self._span.state_dict(),
            "settings": dict(self._settings),
            "generator": None if self.generator is None else self.generator.get_state(),
        }
        return state if self._initial is None else {**state, "initial": self._initial}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load what :meth:`state_dict` returned; with other options it goes on with its own, and warns."""
        if "stable" not in state:
            raise LetheError(f"this is no state of FOMO: it holds {', '.join(map(str, state)) or 'nothing'}.")
        if self.generator is None and state["generator"] is not None:
            raise LetheError("the saved FOMO drew from a generator of its own: build this one with generator=... too.")
        if self._initial is not None and set(self._initial) - set(state.get("initial", ())):
            raise LetheError("the saved FOMO has no initial weights to rewind to: it was built with another reinit.")
        self._stable.load_state_dict(state["stable"])
        # Where there is none, the state is older, and said whether they were recomputed itself.
        self._statistics.load_state_dict(state.get("statistics", state))
        self.forgettings, self._forgot_at = int(state["forgettings"]), int(state["forgot_at"])
        if "schedule" in state:  # which checkpoints of version 0.1.0 do not have
            self.schedule.load_state_dict(state["schedule"])
            self._epoch, self._consolidated_for = int(state["epoch"]), int(state["consolidated_for"])
        if "loop" in state:
            self._loop.load_state_dict(state["loop"])
        if self._span is not None and state.get("span") is None and self._stable.updates:
            raise LetheError("the saved FOMO had a decay of its own: give this one it, too (0.999 was the default).")
        if self._span is not None and state.get("span") is not None:
            self._span.load_state_dict(state["span"])
            self._stable.decay = self._span.decay
        if self._initial is not None:
            with torch.no_grad():
                for name, value in self._initial.items():
                    value.copy_(state["initial"][name])
        self._teacher.forget()
        self._statistics.forget()
        if self.generator is not None and state["generator"] is not None:
            self.generator.set_state(state["generator"].cpu())  # wherever torch.load was told to put it
        warn_of_other_settings(state.get("settings", {}), self._settings)  # which older states do not have

    def _look_back(self) -> None:
        """When an epoch begins: at what the loop left out in the one before."""
        loop = self._loop
        if self.options.average == "phase" and self.forgettings == 0 and loop.stepped and not loop.ended:
            self._stable.follow(self.model)
        loop.look_back(self._epoch, len(self._teacher), recomputes=self._statistics.recomputes)

    def _stable_logits(self, x: Tensor) -> Tensor:
        """The stable model's answer; in training it is kept for the other passes, and what it is shown measured."""
        if self.stable.training:  # a loop's evaluation has left it so
            self.stable.eval()
        if not torch.is_grad_enabled():
            logits: Tensor = self.stable(x)
            return logits
        return self._statistics.ask(lambda: self._teacher.logits(x))

    def _set_learning_rate(self) -> None:
        if self.forgettings and self._relearning is not None:
            self._relearning.hold()

    def _forget(self, batches: Batches | None) -> Forgotten:
        o = self.options
        criterion = CRITERIA[o.criterion]
        if criterion.needs_batches and batches is None:
            raise LetheError(f"the criterion {o.criterion!r} looks at data: begin_epoch(epoch, batches).")
        shown = _first(batches, o.criterion_images) if batches is not None and criterion.needs_batches else ()
        source = self._source()
        masks = criterion.mask(self.model, shown, o.wanted(self.fraction, self.select), source)
        forgotten = reinitialize(
            self.model,
            masks,
            optimizer=self.optimizer,
            generator=source,
            init=o.reinit,
            initial=self._initial,
            shrink=o.shrink,
            perturb=o.perturb,
            state=o.forgotten_state,
            statistics=o.forgotten_statistics,
        )
        if criterion.counts and self.fraction > 0 and forgotten.count == 0:
            warn_of_nothing(self.fraction, o.granularity)
        return forgotten

    def _source(self) -> torch.Generator | None:
        """What masks and new weights are drawn from; ranks that were given no generator agree on one."""
        if self.generator is not None or not groups(self.model):
            return self.generator
        return torch.Generator().manual_seed(agreed(self.model, int(torch.randint(2**62, ()))))

    def _consolidate_phase(self, epoch: int) -> None:
        if self.options.average == "phase" and self._consolidated_for != epoch:
            self._stable.update(self.model)
            self._consolidated_for = epoch

    def _draws_an_update(self) -> bool:
        source = self._source()
        drawn = torch.rand((), generator=source, device="cpu" if source is None else source.device)
        return bool(drawn < self.options.average_probability)

    def _distance(self, logits: Tensor, stable_logits: Tensor) -> Tensor:
        return consistency_loss(logits, stable_logits, self.options.temperature, self.options.distance)


def _first(batches: Batches, images: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of so many images in all."""
    for batch in batches:
        if isinstance(batch, Tensor):
            raise LetheError("batches must be an iterable of (images, labels): for one, begin_epoch(epoch, [(x, y)]).")
        x, y = batch
        yield x[:images], y[:images]
        images -= len(x)
        if images <= 0:
            return
