"""A whole training run: epochs, evaluation, metrics, checkpoints."""

from __future__ import annotations

from typing import Any

from torch import nn

from lethe._check import LetheError
from lethe.attacks import PGD
from lethe.data import Augmentation, ImageSet, Splits
from lethe.data._augment import none
from lethe.engine._checkpoint import save_checkpoint
from lethe.engine._fsdp2 import whole
from lethe.engine._last import does_not_fit, load_last, save_last
from lethe.engine._loop import train_epoch
from lethe.engine._observer import Observer, Silent
from lethe.engine._processes import Processes
from lethe.engine._run_directory import RunDirectory
from lethe.engine._saving import Saving, Stopped
from lethe.engine._schedule import ScheduleConfig
from lethe.engine._training import Training
from lethe.evaluate import EvaluationConfig, accuracy


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
    ``best-stable`` hold the weights of the epoch with the best validation accuracy, robust if there is an attack;
    ``last-stable`` those of the stable model at the end.
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
    processes = training.compute.processes
    given = observer or Observer()
    told = given if processes.first else Silent(given)
    metric = "clean" if attack is None else "robust"
    records: list[dict[str, Any]] = []
    trained: dict[str, Any] | None = None  # the record of an epoch that waits for its evaluation
    state = processes.in_turn(lambda: load_last(directory, told)) if resume else None
    if resume and state is None:  # stopped in its first epoch, or its checkpoints are gone: it begins anew
        if lost := len(directory.records()):
            told.say(f"no checkpoint in {str(directory.path)!r}, though {lost} epochs were recorded: it begins anew")
        processes.share(lambda: directory.keep_records([]))
    elif state is not None:
        try:
            if not training.load_state_dict(state):
                before = len(state["torch_generators"])
                told.say(
                    f"goes on with {processes.count} in place of {before} devices: alike, but not to the bit"
                    if processes.count != before
                    else "goes on with weights kept otherwise: alike, but not to the bit"
                )
        except LetheError:
            raise
        except (KeyError, RuntimeError, ValueError, TypeError) as error:
            raise does_not_fit(directory) from error
        # Lines of epochs that the checkpoint does not have are trained again.
        trained = state.get("trained")
        records = [r for r in directory.records() if r["epoch"] <= training.epoch - (trained is not None)]
        processes.share(lambda: directory.keep_records(records))
    best = {
        prefix: max(
            (r[f"{prefix}validation/{metric}"] for r in records if f"{prefix}validation/{metric}" in r),
            default=-1.0,
        )
        for prefix in ("", "stable/")
    }
    told.begin(title, schedule.epochs, directory.path)
    told.images(len(splits.train))
    told.step(training.epoch)

    def write() -> None:
        state = training.state_dict() if trained is None else {**training.state_dict(), "trained": trained}
        processes.share(lambda: save_last(directory, state))

    saving = Saving(write, told, checkpoint_minutes, processes)

    def done() -> bool:
        if trained is not None:
            return False
        keys = [f"{prefix}validation/{metric}" for prefix in ("", "stable/")]
        measured = [max(r.get(key, -1.0) for key in keys) for r in records if keys[0] in r]
        return training.epoch >= schedule.epochs or evaluation.stops_early(measured)

    while not done():
        record = trained or train_epoch(
            training,
            splits.train,
            batch_size=schedule.batch_size,
            augment=augment,
            on_step=lambda share: saving.after_step(training, training.epoch + share),
        )
        if training.epoch % evaluation.eval_every == 0 or training.epoch == schedule.epochs:
            if trained is None:  # an evaluation may take longer than the epoch: it must not cost it
                trained = record
                saving.save()
            if saving.stops():
                raise Stopped
            models: dict[str, nn.Module] = {"": training.model}
            if training.method.stable is not None:
                models["stable/"] = training.method.stable
            for prefix, model in models.items():
                for part, data in (("validation", splits.validation), ("test", splits.test)):
                    for name, value in measure(model, data, attack, evaluation, processes).items():
                        record[f"{prefix}{part}/{name}"] = value
                if not prefix:
                    training.method.observe(record[f"validation/{metric}"])
                if (value := record[f"{prefix}validation/{metric}"]) > best[prefix]:
                    best[prefix] = value
                    weights = {"epoch": training.epoch, "model": whole(model.state_dict())}
                    path = directory.checkpoint("best-stable" if prefix else "best")
                    processes.share(lambda path=path, weights=weights: save_checkpoint(path, weights))  # type: ignore[misc]
        trained = None
        processes.share(lambda record=record: directory.append(record))  # type: ignore[misc]
        saving.save()
        records.append(record)
        told.record(record)
        if not done() and saving.stops():
            raise Stopped
    if training.method.stable is not None:
        last = {"epoch": training.epoch, "model": whole(training.method.stable.state_dict())}
        processes.share(lambda: save_checkpoint(directory.checkpoint("last-stable"), last))
    if training.epoch < schedule.epochs:
        told.say(f"stopped early, after epoch {training.epoch}: validation accuracy rose no more")
    return records


def measure(
    model: nn.Module, data: ImageSet, attack: PGD | None, evaluation: EvaluationConfig, processes: Processes
) -> dict[str, float]:
    """Clean accuracy, and with an attack the robust one, in [0, 1]; in fp32."""
    together: dict[str, Any] = {"rank": processes.rank, "ranks": processes.count, "total": processes.sum}
    values = {"clean": accuracy(model, data, batch_size=evaluation.eval_batch_size, **together)}
    if attack is not None:
        values["robust"] = accuracy(model, data, attack=attack, batch_size=evaluation.eval_batch_size, **together)
    return values
