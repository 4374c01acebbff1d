"""One epoch of training."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from lethe._rows import Rows
from lethe.data import Augmentation, ImageSet, batches
from lethe.data._augment import none
from lethe.data._batches import cut, draw_order, part_of
from lethe.engine._epoch_progress import EpochProgress
from lethe.engine._saving import diverged
from lethe.engine._training import Training
from lethe.objectives import Batch


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
        batch_size: images in a batch, over all devices and micro-batches.
        augment: of the images.
        on_step: told the share of the epoch that is done, after each step; ``training`` can be saved there.

    Returns:
        ``epoch`` (from 1), ``lr`` (of its first step), ``train/loss``, ``train/accuracy`` (on the images trained on:
        attacked, or mixed and compared with one label alone; of the first pass, which of RMP and RWP is one at
        perturbed weights), ``seconds``, and ``event`` if the method did something.

    Raises:
        LetheError: the loss is not finite.
    """
    started, t = time.perf_counter(), training
    processes = t.compute.processes
    if t.progress is None:
        event = t.method.begin_epoch(t.epoch, _as_trained_on(t, data, batch_size, augment))
        first_lr = float(t.optimizer.param_groups[0]["lr"])  # which the method may have set
        t.progress = EpochProgress.begin(t.generators["data"].get_state(), event, data.labels.device, first_lr)
    if t.progress.lr is None:  # a checkpoint that does not say, from whose step on it is the same
        t.progress.lr = float(t.optimizer.param_groups[0]["lr"])
    progress, before = t.progress, t.progress.seconds
    t.model.train()
    for x, y, first, total in _left_of_the_epoch(t, progress, data, batch_size, augment):
        loss, correct = _step(t, x, y, first, total)
        t.compute.align(t.model)
        t.scheduler.step()
        t.method.end_step()
        if t.method.stable is not None:
            t.compute.align(t.method.stable)
        progress.add(loss, correct, len(y), total, scaled=t.compute.scaler is not None)
        progress.seconds = before + time.perf_counter() - started
        if on_step is not None:
            on_step(progress.seen / len(data))

    def images() -> Iterator[Tensor]:
        apart = t.compute.config.sync_batch_norm  # then batch norm puts the parts together
        rank, ranks = (processes.rank, processes.count) if apart else (0, 1)
        draw = t.generators["method"]
        for x, _ in batches(data, batch_size, shuffle=draw, augment=augment, rank=rank, ranks=ranks):
            yield x

    t.method.end_epoch(t.epoch, images)
    t.epoch += 1
    t.progress = None
    mean_loss = progress.mean_loss(processes.sum)
    if not math.isfinite(mean_loss):
        raise diverged(mean_loss, t.epoch)
    record: dict[str, Any] = {
        "epoch": t.epoch,
        "lr": progress.lr,
        "train/loss": mean_loss,
        "train/accuracy": int(processes.sum(progress.correct)) / progress.seen,
        "seconds": round(before + time.perf_counter() - started, 3),
    }
    if progress.event is not None:
        record["event"] = progress.event
    return record


def _step(t: Training, x: Tensor, y: Tensor, first: int, total: int) -> tuple[Tensor, Tensor]:
    """One step on this process's part of a batch of ``total`` images, which begins at row ``first``.

    Returns:
        The sum of the part's losses, and the number of its images that were classified right, both of the first pass.
    """
    compute = t.compute
    parts = [
        (batch, len(batch.targets) * compute.processes.count / total) for batch in _prepared(t, x, y, first, total)
    ]

    def closure() -> tuple[Tensor, Tensor]:
        t.optimizer.zero_grad()
        losses, correct = y.new_zeros((), dtype=torch.float32), y.new_zeros(())
        at = 0
        for number, (batch, share) in enumerate(parts, 1):
            with compute.synchronised(t.network, number == len(parts)):
                with compute.autocast():  # for the networks beside the one that is trained: teachers, say
                    loss, logits = t.objective.loss(t.network, batch)
                    loss = loss + t.method.consistency(batch.images, logits, batch.clean)
                compute.backward(loss if share == 1 else loss * share)  # a mean over parts of any length
            labels = y[at : at + len(logits)]
            losses += loss.detach() * len(labels)
            correct += (logits.detach().argmax(1) == labels).sum()
            at += len(labels)
        compute.clip(t.model)
        return losses, correct

    def ascend() -> None:
        t.optimizer.zero_grad()
        ascent_loss = t.objective.ascent_loss
        assert ascent_loss is not None  # noqa: S101 - else it is not handed on
        for number, (batch, share) in enumerate(parts, 1):
            with compute.synchronised(t.network, number == len(parts)):
                with compute.autocast():
                    loss = ascent_loss(t.network, batch)
                compute.backward(loss if share == 1 else loss * share)
        compute.clip(t.model)

    return compute.step(t.optimizer, t.network, closure, None if t.objective.ascent_loss is None else ascend)


def _prepared(t: Training, x: Tensor, y: Tensor, first: int, total: int) -> list[Batch]:
    """The micro-batches of a part, ready to be trained on: attacked as they would have been as one batch."""
    generator = t.generators["attack"]
    # As many in every process, which meet in each, and at least two images in each, for batch norm.
    micro = max(1, min(t.compute.config.accumulate, total // (2 * t.compute.processes.count)))
    with t.compute.autocast():
        if t.compute.parts == 1:
            return [t.objective.prepare(t.model, x, y, generator)]
        before, prepared = generator.get_state(), []
        for number in range(micro):
            rows = part_of(len(y), number, micro)
            generator.set_state(before)  # each draws for the whole batch, and takes its rows
            source = Rows(generator, first + rows.start, total)
            prepared.append(t.objective.prepare(t.model, x[rows], y[rows], source))
        return prepared


def _as_trained_on(
    t: Training, data: ImageSet, batch_size: int, augment: Augmentation
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches that are made as those of training are, for the method; its own generator is all that they draw from.

    They are whole in every process, so that all find the same.
    """
    draw = t.generators["method"]
    for x, y in batches(data, batch_size, shuffle=draw, augment=augment):
        with t.compute.autocast():
            batch = t.objective.prepare(t.model, x, y, draw)
        yield batch.images, batch.targets


def _left_of_the_epoch(
    t: Training, progress: EpochProgress, data: ImageSet, batch_size: int, augment: Augmentation
) -> Iterator[tuple[Tensor, Tensor, int, int]]:
    """The batches that are not done yet, in the epoch's own order: this process's part, its first row, all rows."""
    generator, processes = t.generators["data"], t.compute.processes
    now = generator.get_state()
    generator.set_state(progress.order)
    order = draw_order(len(data), generator)
    if progress.batches:  # the order was drawn again: augmentation goes on from where the checkpoint was made
        generator.set_state(now)
    found = batches(
        data,
        batch_size,
        shuffle=generator,
        augment=augment,
        order=order,
        skip=progress.batches,
        rank=processes.rank,
        ranks=processes.count,
    )
    cuts = cut(len(data), batch_size, processes.count)[progress.batches :]
    for (start, stop), (x, y) in zip(cuts, found, strict=True):
        yield x, y, part_of(stop - start, processes.rank, processes.count).start, stop - start
