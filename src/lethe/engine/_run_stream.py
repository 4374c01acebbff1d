"""A whole anytime run: megabatch after megabatch, each to its best epoch, with metrics and checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from lethe._check import LetheError
from lethe.anytime import ArrivingMegabatches, MegabatchStream
from lethe.attacks import PGD
from lethe.data import Augmentation, ImageSet, Splits
from lethe.data._augment import none
from lethe.engine._arrivals import Arrivals, Awaited, Known, wait_for
from lethe.engine._checkpoint import save_checkpoint
from lethe.engine._last import does_not_fit, load_last, save_last
from lethe.engine._loop import train_epoch
from lethe.engine._observer import Observer
from lethe.engine._processes import Processes
from lethe.engine._run_directory import RunDirectory
from lethe.engine._saving import Saving, Stopped
from lethe.engine._schedule import ScheduleConfig
from lethe.engine._training import Training
from lethe.evaluate import accuracy

SET_ASIDE = "set_aside"
"""What the name of a damaged file is called in the metrics."""


@dataclass
class _Place:
    """How far a stream is, beside the training itself: what its checkpoint needs to go on.

    Attributes:
        megabatch: that is learnt, from 0.
        begun: what was to be done before its first epoch is done, the forgetting say, and must not be done again.
        event: what that was.
        best: of its epochs so far the best: accuracy on its validation images, epoch from 1, and weights.
        lines: of the metrics.
    """

    megabatch: int = 0
    begun: bool = False
    event: str | None = None
    best: dict[str, Any] = field(default_factory=lambda: {"accuracy": -1.0, "epoch": 0, "weights": {}})
    lines: int = 0


def run_stream(
    model: nn.Module,
    start: Callable[[nn.Module, int, int], Training],
    between: Callable[[Training, ImageSet, ImageSet], object | None],
    stream: MegabatchStream | ArrivingMegabatches,
    splits: Splits,
    directory: RunDirectory,
    *,
    schedule: ScheduleConfig,
    augment: Augmentation = none,
    attack: PGD | None = None,
    describe: Callable[[nn.Module, list[dict[str, Any]], dict[str, Any]], dict[str, Any]] = lambda *known: {},
    observer: Observer | None = None,
    title: str = "anytime",
    resume: bool = False,
    checkpoint_minutes: float = 10.0,
) -> list[dict[str, Any]]:
    """Learn the stream to its end, and return the run's records.

    Each megabatch starts from the best weights of the one before, chosen on its validation images. A line an epoch is
    added to the metrics, and one with ``test/errors`` after each megabatch, whose best weights are the checkpoint
    ``megabatch-N``, and ``published``, for whoever uses the newest; the checkpoint ``last`` is moved into place after
    each epoch, and after each megabatch.

    A stream that arrives in a folder may be of any length: the run waits for the next megabatch, and may be stopped
    there, too. The metrics have a line with ``set_aside`` and ``error`` for each damaged file.

    Args:
        model: as built; with ``resume`` its weights are replaced by the checkpoint's.
        start: what trains the model on so many images, those of the megabatch of this number, from 0. It is asked
            anew for each; what it carries over from the one before is its own. Where the number of images becomes known
            only when the megabatch arrives, it is asked once more, with it.
        between: acts on what trains the model before a megabatch that is not the first, whose new images and all of
            whose training images it is given; once for each: a run that is stopped right after it goes on from before
            or from after it, never through it twice.
        stream: of indices into ``splits.train``, or of files that arrive; the images of these must be as the test
            images are.
        splits: data on the model's device; the test set is measured once a megabatch, and decides nothing.
        directory: where everything is written.
        schedule: how long each megabatch is trained on.
        augment: of the training images.
        attack: of the robust accuracy, by which the best epoch is then chosen; None: clean accuracy alone.
        describe: what else the line of a learnt megabatch says, from the network with its best weights, the lines of
            its epochs, and what the line says so far.
        observer: told how the run goes.
        title: what the observer calls the run.
        resume: go on from the checkpoint ``last``, or from the start if the run was stopped before there was one.
        checkpoint_minutes: save ``last`` so often within an epoch, too; 0: after each step.

    Raises:
        Stopped: the observer asked for it; ``last`` has the step that was the last.
        LetheError: the stream ended before there was a megabatch, or a file that must be read again is gone.
    """
    observer = observer or Observer()
    arrivals: Arrivals = (
        Known(stream, splits.train) if isinstance(stream, MegabatchStream) else Awaited(stream, splits.test)
    )
    state = load_last(directory, observer) if resume else None
    try:
        place = _Place() if state is None else _Place(**state["place"])
        if state is not None and arrivals.expected is None:
            arrivals.load_state_dict(state["stream"])
    except (KeyError, TypeError) as error:
        raise does_not_fit(directory) from error
    count = arrivals.train_images(place.megabatch)
    training = start(model, count, place.megabatch)
    if state is not None:
        try:
            training.load_state_dict(state)
        except (KeyError, RuntimeError, ValueError, TypeError) as error:
            raise does_not_fit(directory) from error
    records = directory.records() if resume else []
    if resume:
        # What the checkpoint does not have is done again, but a file that was set aside will not be found again.
        records = records[: place.lines] + [record for record in records[place.lines :] if SET_ASIDE in record]
        directory.keep_records(records)
        place.lines = len(records)
    observer.begin(title, None if arrivals.expected is None else arrivals.expected * schedule.epochs, directory.path)
    observer.step(place.megabatch * schedule.epochs + training.epoch)

    def write() -> None:
        state = {**training.state_dict(), "place": dict(vars(place))}
        save_last(directory, state if arrivals.expected is not None else {**state, "stream": arrivals.state_dict()})

    saving = Saving(write, observer, checkpoint_minutes, Processes())

    def on_step(share: float) -> None:
        saving.after_step(training, place.megabatch * schedule.epochs + training.epoch + share)

    def add(record: dict[str, Any]) -> None:
        directory.append(record)
        records.append(record)
        place.lines = len(records)

    def set_aside(name: str, reason: str) -> None:
        observer.say(f"error: {name!r} is set aside as damaged: {reason}. The run goes on.")
        line = {"megabatch": place.megabatch + 1, SET_ASIDE: name, "error": reason}
        if line not in records[-1:]:  # written, and stopped before the file was moved
            add(line)

    if isinstance(stream, ArrivingMegabatches):
        stream.on_damaged = set_aside
    elif stream.left_out:
        observer.say(f"{stream.left_out:,} images are left out: they fill no megabatch, or are more than the shots")
    while (arrival := wait_for(arrivals, place.megabatch, saving, observer)) is not None:
        number, train = place.megabatch + 1, arrival.train
        if arrivals.expected is None and not place.begun:
            if len(train) != count:
                count = len(train)
                training = start(model, count, place.megabatch)
            saving.save()  # which file it is, even if one comes that would be before it
        observer.megabatch(number, arrivals.expected)
        observer.images(len(train))
        if not place.begun:
            event = between(training, arrival.new, train) if place.megabatch else None
            place.event, place.begun = None if event is None else str(event), True
        while training.epoch < schedule.epochs:
            record = train_epoch(training, train, batch_size=schedule.batch_size, augment=augment, on_step=on_step)
            record = {"megabatch": number, **record, "validation/clean": accuracy(model, arrival.validation)}
            if attack is not None:
                record["validation/robust"] = accuracy(model, arrival.validation, attack=attack)
            score = record.get("validation/robust", record["validation/clean"])
            if place.event is not None and training.epoch == 1:
                record["event"] = place.event
            if score > place.best["accuracy"]:
                weights = {name: value.clone() for name, value in model.state_dict().items()}
                place.best = {"accuracy": score, "epoch": training.epoch, "weights": weights}
            add(record)
            saving.save()
            observer.record(record)
            if saving.stops():
                raise Stopped
        model.load_state_dict(place.best["weights"])
        test = accuracy(model, splits.test)
        errors = round((1.0 - test) * len(splits.test))
        closing = {"megabatch": number, "best_epoch": place.best["epoch"], "test/errors": errors, "test/clean": test}
        closing |= {"train_images": len(train), "new_images": len(arrival.new)}
        if attack is not None:
            closing["test/robust"] = accuracy(model, splits.test, attack=attack)
        epochs = [record for record in records if record["megabatch"] == number and "train/loss" in record]
        add({**closing, **describe(model, epochs, closing)})
        weights = {"megabatch": number, "model": model.state_dict()}
        for name in (f"megabatch-{number}", "published"):
            save_checkpoint(directory.checkpoint(name), weights)
        place = _Place(megabatch=number, lines=len(records))
        count = arrivals.train_images(place.megabatch)
        training = start(model, count, place.megabatch)
        saving.save()
        observer.record(records[-1])
        if place.megabatch != arrivals.expected and saving.stops():
            raise Stopped
    if not place.megabatch:
        raise LetheError(f"the stream in {arrivals.place!r} ended before there was a megabatch: nothing was learnt.")
    return records
