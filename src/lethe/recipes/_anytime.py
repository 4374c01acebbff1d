"""The recipes of `lethe anytime`: a network trained on megabatches as they arrive."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import nn
from torch.optim import SGD

from lethe import _launched, models
from lethe._check import LetheError
from lethe.anytime import cumulative_error
from lethe.data import DataConfig, ImageSet, batches, image_side, load, steps_per_epoch
from lethe.engine import (
    Compute,
    NoMethod,
    Observer,
    Processes,
    RunDirectory,
    ScheduleConfig,
    Training,
    generators,
    run_stream,
)
from lethe.forget import Forgotten
from lethe.methods import LURE, LUREConfig
from lethe.objectives import Standard
from lethe.recipes._base import Recipe
from lethe.recipes._stream import StreamConfig
from lethe.track import TrackingObserver


@dataclass(frozen=True, kw_only=True)
class AlmaRecipe(Recipe):
    """Warm start (ALMA): go on from the model of the megabatch before."""

    name: ClassVar[str] = "alma"
    source: ClassVar[str] = "Caccia et al., arXiv 2106.09563; the baseline of LURE's code"
    cost: ClassVar[str] = "3F; with full replay of T megabatches (T + 1)/2 times the images"

    data: DataConfig = field(default_factory=lambda: DataConfig(validation_size=0))
    schedule: ScheduleConfig = field(default_factory=lambda: ScheduleConfig(epochs=10, milestones=(0.4, 0.8)))
    stream: StreamConfig = field(default_factory=StreamConfig)

    def __post_init__(self) -> None:
        if self.data.validation_size != 0:
            raise LetheError(
                "a stream has no validation set of its own: leave --validation-size out, and set --holdout."
            )
        if self.compute.devices > 1:
            raise LetheError("anytime learning runs on one device so far: leave --devices out.")

    def between(self, model: nn.Module, new: ImageSet, generator: torch.Generator) -> Forgotten | None:
        """Act on the model before it trains on a megabatch that is not the first."""
        return None

    def execute(
        self, *, observer: Observer | None = None, resume: RunDirectory | None = None
    ) -> tuple[RunDirectory, list[dict[str, Any]]]:
        """Make the run, from the checkpoint of ``resume`` if there is one.

        After each megabatch a line with ``test/errors`` is added to the metrics.

        Each megabatch starts from the best model of the one before, chosen on its validation images, with a fresh
        optimizer and schedule, as in ALMA's own code (LURE's carries one optimizer, and its momentum, through).
        """
        if _launched.count() > 1:
            raise LetheError("anytime learning runs on one device so far: start it without torchrun.")
        device, options = self.run.torch_device(), self.resolved().options()
        splits = load(self.data, file_order=self.stream.in_file_order).to(device)
        stream = self.stream.build(splits, self.data)
        torch.manual_seed(self.run.seed)
        streams = generators(self.run.seed)
        side = image_side(self.data)
        model = models.build(self.model, splits.train.classes, splits.mean, splits.std, side).to(device)
        directory = resume or RunDirectory.create(self.out(), options, device)
        with TrackingObserver(observer or Observer(), self.track, options) as tracked:
            records = run_stream(
                model,
                lambda model, images: self.start(model, images, streams),
                lambda model, new: self.between(model, new, streams["method"]),
                stream,
                splits,
                directory,
                schedule=self.schedule,
                augment=self.data.augmentation(),
                observer=tracked,
                title=self.name,
                resume=resume is not None,
                checkpoint_minutes=self.run.checkpoint_minutes,
            )
        errors = [record["test/errors"] for record in records if "test/errors" in record]
        directory.finish(
            {
                "recipe": self.name,
                "splits": str(splits),
                "test/errors": errors,
                "cumulative_error": cumulative_error(errors),
                "cumulative_error_rate": cumulative_error([e / len(splits.test) for e in errors]),
            }
        )
        return directory, records

    def start(self, model: nn.Module, images: int, streams: dict[str, torch.Generator]) -> Training:
        """What trains the model on one megabatch, of so many images."""
        optimizer = SGD(model.parameters(), **self.sgd.kwargs())
        schedule = self.schedule.build(optimizer, steps_per_epoch(images, self.schedule.batch_size))
        compute = Compute(self.compute, Processes(next(model.parameters()).device), self.sgd.clip_norm)
        return Training(model, optimizer, schedule, Standard(), NoMethod(), streams, compute)


@dataclass(frozen=True, kw_only=True)
class LureRecipe(AlmaRecipe):
    """LURE: before each new megabatch, forget the weights that matter least by SNIP, and relearn."""

    name: ClassVar[str] = "lure"
    source: ClassVar[str] = "Ramkumar, Arani and Zonooz, TMLR 2023"
    cost: ClassVar[str] = "as alma, and a few batches of 3F before each megabatch"

    lure: LUREConfig = field(default_factory=LUREConfig)

    def between(self, model: nn.Module, new: ImageSet, generator: torch.Generator) -> Forgotten | None:
        """Forget the least salient weights, measured on the first of the new images."""
        seen = new.subset(list(range(min(self.lure.snip_images, len(new)))))
        lure = LURE(self.lure.fraction, generator=generator)
        return lure.forget(model, batches(seen, self.schedule.batch_size))
