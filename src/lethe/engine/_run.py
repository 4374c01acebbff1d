"""A whole training run: epochs, evaluation, metrics, checkpoints."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import nn

from lethe._check import LetheError
from lethe.attacks import PGD
from lethe.data import Augmentation, ImageSet, Splits
from lethe.data._augment import none
from lethe.engine._checkpoint import load_checkpoint, save_checkpoint
from lethe.engine._config import ScheduleConfig
from lethe.engine._loop import Training, train_epoch
from lethe.engine._observer import Observer
from lethe.engine._run_directory import RunDirectory
from lethe.evaluate import EvaluationConfig, accuracy


class Stopped(KeyboardInterrupt):
    """A run was asked to stop, saved a checkpoint, and did."""


def run_training(
    training: Training,
    splits: Splits,
    directory: RunDirectory,
    *,
    schedule: ScheduleConfig,
    evaluation: EvaluationConfig,
    attack: PGD | None = None,
    augment: Augmentation = none,
    observer: Observer | None = None,
    title: str = "train",
    resume: bool = False,
    checkpoint_minutes: float = 10.0,
) -> list[dict[str, Any]]:
    """Train to the end, and return the run's records.

    After each epoch a line is added to the metrics and the checkpoint ``last`` is moved into place; ``best`` and
    ``best-stable`` hold the weights of the epoch with the best validation accuracy, robust if there is an attack.
    The test set is measured beside it and decides nothing.

    Args:
        training: as built; with ``resume`` its state is replaced by the checkpoint's.
        splits: data on the model's device.
        directory: where everything is written.
        schedule: how long.
        evaluation: when and how it is evaluated.
        attack: of the robust accuracy; None: clean accuracy alone.
        augment: of the training images.
        observer: told how the run goes.
        title: what the observer calls the run.
        resume: go on from the checkpoint ``last``, or from the start if the run was stopped before there was one.
        checkpoint_minutes: save ``last`` so often within an epoch, too; 0: after each step.

    Raises:
        Stopped: the observer asked for it; ``last`` has the step that was the last.
    """
    observer = observer or Observer()
    metric = "clean" if attack is None else "robust"
    records: list[dict[str, Any]] = []
    trained: dict[str, Any] | None = None  # the record of an epoch that waits for its evaluation
    if resume and not directory.checkpoint("last").is_file():
        directory.keep_records([])  # stopped in its first epoch: it begins anew
    elif resume:
        state = load_checkpoint(directory.checkpoint("last"))
        try:
            training.load_state_dict(state)
        except (KeyError, RuntimeError, ValueError) as error:
            raise LetheError(
                f"the checkpoint {str(directory.checkpoint('last'))!r} does not fit the run's config."
            ) from error
        # Lines of epochs that the checkpoint does not have are trained again.
        trained = state.get("trained")
        records = [r for r in directory.records() if r["epoch"] <= training.epoch - (trained is not None)]
        directory.keep_records(records)
    best = {
        prefix: max(
            (r[f"{prefix}validation/{metric}"] for r in records if f"{prefix}validation/{metric}" in r),
            default=-1.0,
        )
        for prefix in ("", "stable/")
    }
    observer.begin(title, schedule.epochs, directory.path)
    observer.step(training.epoch)
    saved = time.monotonic()

    def on_step(share: float) -> None:
        nonlocal saved
        observer.step(training.epoch + share)
        stop = observer.stop_asked()
        if stop or time.monotonic() - saved >= 60 * checkpoint_minutes:
            if training.progress is not None and not torch.isfinite(training.progress.loss):
                return  # the epoch will end with an error: keep the last good checkpoint
            save_checkpoint(directory.checkpoint("last"), training.state_dict())
            saved = time.monotonic()
        if stop:
            raise Stopped

    while trained is not None or training.epoch < schedule.epochs:
        record = trained or train_epoch(
            training,
            splits.train,
            batch_size=schedule.batch_size,
            augment=augment,
            on_step=on_step,
        )
        if training.epoch % evaluation.eval_every == 0 or training.epoch == schedule.epochs:
            if trained is None:  # an evaluation may take longer than the epoch: it must not cost it
                save_checkpoint(directory.checkpoint("last"), {**training.state_dict(), "trained": record})
            if observer.stop_asked():
                raise Stopped
            models: dict[str, nn.Module] = {"": training.model}
            if training.method.stable is not None:
                models["stable/"] = training.method.stable
            for prefix, model in models.items():
                for part, data in (("validation", splits.validation), ("test", splits.test)):
                    for name, value in measure(model, data, attack, evaluation).items():
                        record[f"{prefix}{part}/{name}"] = value
                if not prefix:
                    training.method.observe(record[f"validation/{metric}"])
                if (value := record[f"{prefix}validation/{metric}"]) > best[prefix]:
                    best[prefix] = value
                    weights = {"epoch": training.epoch, "model": model.state_dict()}
                    save_checkpoint(directory.checkpoint("best-stable" if prefix else "best"), weights)
        trained = None
        directory.append(record)
        save_checkpoint(directory.checkpoint("last"), training.state_dict())
        saved = time.monotonic()
        records.append(record)
        observer.record(record)
        if training.epoch < schedule.epochs and observer.stop_asked():
            raise Stopped
    return records


def measure(model: nn.Module, data: ImageSet, attack: PGD | None, evaluation: EvaluationConfig) -> dict[str, float]:
    """Clean accuracy, and with an attack the robust one, in [0, 1]."""
    values = {"clean": accuracy(model, data, batch_size=evaluation.eval_batch_size)}
    if attack is not None:
        values["robust"] = accuracy(model, data, attack=attack, batch_size=evaluation.eval_batch_size)
    return values
