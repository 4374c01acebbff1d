"""One epoch of training."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lethe._check import LetheError
from lethe.data import Augmentation, ImageSet, batches
from lethe.data._augment import none
from lethe.data._batches import draw_order
from lethe.engine._epoch_progress import EpochProgress
from lethe.engine._method import WeightMethod
from lethe.objectives import Batch, Objective


@dataclass
class Training:
    """Everything that training moves, and therefore everything that a checkpoint holds.

    Attributes:
        model: the working network.
        optimizer: any torch optimizer whose ``step`` takes a closure.
        scheduler: stepped once an epoch.
        objective: makes batches ready and turns them into a loss.
        method: what else acts on the weights.
        generators: the run's random streams; the loop draws from ``data`` and ``attack``.
        clip_norm: global norm that the gradients of every pass are clipped to; None: not clipped.
        epoch: finished epochs.
        progress: of the epoch that is under way; None between epochs.
    """

    model: nn.Module
    optimizer: Optimizer
    scheduler: LRScheduler
    objective: Objective
    method: WeightMethod
    generators: dict[str, torch.Generator]
    clip_norm: float | None = None
    epoch: int = 0
    progress: EpochProgress | None = None

    def backward(self, loss: Tensor) -> None:
        """Take the gradient of one pass, clipped."""
        loss.backward()  # type: ignore[no-untyped-call]
        if self.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_norm)

    def state_dict(self) -> dict[str, Any]:
        """The state, made of tensors, numbers and strings alone."""
        return {
            "epoch": self.epoch,
            "progress": None if self.progress is None else self.progress.state_dict(),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "method": self.method.state_dict(),
            "generators": {name: g.get_state() for name, g in self.generators.items()},
            "torch_generators": self._torch_generators(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load what :meth:`state_dict` returned; training then goes on to the bit."""
        self.epoch = int(state["epoch"])
        device = next(self.model.parameters()).device
        progress = state.get("progress")  # which checkpoints of version 0.1.0 do not have
        self.progress = None if progress is None else EpochProgress.from_state(progress, device)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        self.method.load_state_dict(state["method"])
        for name, generator in self.generators.items():
            generator.set_state(state["generators"][name])
        torch.set_rng_state(state["torch_generators"]["cpu"])
        if device.type == "cuda" and "cuda" in state["torch_generators"]:
            torch.cuda.set_rng_state(state["torch_generators"]["cuda"], device)

    def _torch_generators(self) -> dict[str, Tensor]:
        """Of torch's own generators, which dropout draws from."""
        states = {"cpu": torch.get_rng_state()}
        device = next(self.model.parameters()).device
        if device.type == "cuda":
            states["cuda"] = torch.cuda.get_rng_state(device)
        return states


def train_epoch(
    training: Training,
    data: ImageSet,
    *,
    batch_size: int,
    augment: Augmentation = none,
    on_step: Callable[[float], None] | None = None,
) -> dict[str, Any]:
    """Train one epoch, or what ``training.progress`` leaves of it, and return its record.

    The loop, in full: the method may act on the weights (``begin_epoch``); then for each batch the objective
    makes it ready (an attack, say), the optimizer steps with a closure, once or several times called, whose loss is
    the objective's plus the method's consistency, and the method ends the step.

    Args:
        training: moved in place.
        data: training images, on the model's device.
        batch_size: images in a batch.
        augment: of the images.
        on_step: told the share of the epoch that is done, after each step; ``training`` can be saved there.

    Returns:
        ``epoch`` (from 1), ``lr``, ``train/loss``, ``train/accuracy`` (on the images trained on: attacked, or mixed and
        compared with one label alone; of the first pass, which of RMP and RWP is one at perturbed weights),
        ``seconds``, and ``event`` if the method did something.

    Raises:
        LetheError: the loss is not finite.
    """
    started, t = time.perf_counter(), training
    if t.progress is None:
        event = t.method.begin_epoch(t.epoch, _as_trained_on(t, data, batch_size, augment))
        t.progress = EpochProgress.begin(t.generators["data"].get_state(), event, data.labels.device)
    progress, before = t.progress, t.progress.seconds
    learning_rate = float(t.optimizer.param_groups[0]["lr"])
    t.model.train()
    for x, y in _left_of_the_epoch(t, progress, data, batch_size, augment):
        batch = t.objective.prepare(t.model, x, y, t.generators["attack"])

        def closure(batch: Batch = batch) -> tuple[Tensor, Tensor]:
            t.optimizer.zero_grad()
            loss, logits = t.objective.loss(t.model, batch)
            loss = loss + t.method.consistency(batch.images, logits, batch.clean)
            t.backward(loss)
            return loss.detach(), logits.detach()

        def ascend(batch: Batch = batch) -> None:
            t.optimizer.zero_grad()
            if t.objective.ascent_loss is not None:
                t.backward(t.objective.ascent_loss(t.model, batch))

        closures = (closure,) if t.objective.ascent_loss is None else (closure, ascend)
        # torch types a closure's result as float; it hands back whatever the closure returned.
        loss, logits = cast("tuple[Tensor, Tensor]", cast("Any", t.optimizer).step(*closures))
        t.method.end_step()
        progress.loss += loss * len(y)
        progress.correct += (logits.argmax(1) == y).sum()
        progress.seen += len(y)
        progress.batches += 1
        progress.seconds = before + time.perf_counter() - started
        if on_step is not None:
            on_step(progress.seen / len(data))

    def images() -> Iterator[Tensor]:
        for x, _ in batches(data, batch_size, shuffle=t.generators["method"], augment=augment):
            yield x

    t.method.end_epoch(t.epoch, images)
    t.scheduler.step()
    t.epoch += 1
    t.progress = None
    mean_loss = float(progress.loss) / progress.seen
    if not torch.isfinite(progress.loss):
        raise LetheError(
            f"the loss is {mean_loss} in epoch {t.epoch}: training has diverged. "
            "Lower --lr, or what perturbs the weights."
        )
    record: dict[str, Any] = {
        "epoch": t.epoch,
        "lr": learning_rate,
        "train/loss": mean_loss,
        "train/accuracy": int(progress.correct) / progress.seen,
        "seconds": round(before + time.perf_counter() - started, 3),
    }
    if progress.event is not None:
        record["event"] = progress.event
    return record


def _as_trained_on(
    t: Training, data: ImageSet, batch_size: int, augment: Augmentation
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches that are made as those of training are, for the method; its own generator is all that they draw from."""
    draw = t.generators["method"]
    for x, y in batches(data, batch_size, shuffle=draw, augment=augment):
        batch = t.objective.prepare(t.model, x, y, draw)
        yield batch.images, batch.targets


def _left_of_the_epoch(
    t: Training, progress: EpochProgress, data: ImageSet, batch_size: int, augment: Augmentation
) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches that are not done yet, in the epoch's own order."""
    generator = t.generators["data"]
    now = generator.get_state()
    generator.set_state(progress.order)
    order = draw_order(len(data), generator)
    if progress.batches:  # the order was drawn again: augmentation goes on from where the checkpoint was made
        generator.set_state(now)
    return batches(data, batch_size, shuffle=generator, augment=augment, order=order, skip=progress.batches)
