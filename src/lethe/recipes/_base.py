"""What all recipes have."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from lethe.data import DataConfig
from lethe.engine import ComputeConfig, Observer, RunConfig, RunDirectory, ScheduleConfig
from lethe.models import ModelConfig
from lethe.optim import SGDConfig
from lethe.track import TrackConfig

RecipeT = TypeVar("RecipeT", bound="Recipe")


@dataclass(frozen=True, kw_only=True)
class Recipe(ABC):
    """A whole run as a typed config: the sum of its parts' options.

    Attributes:
        name: on the command line.
        source: where the method comes from.
        cost: of a training step, in forward passes F.
    """

    name: ClassVar[str]
    source: ClassVar[str]
    cost: ClassVar[str]

    run: RunConfig = field(default_factory=RunConfig)
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    sgd: SGDConfig = field(default_factory=SGDConfig)
    compute: ComputeConfig = field(default_factory=ComputeConfig)
    track: TrackConfig = field(default_factory=TrackConfig)

    @abstractmethod
    def execute(
        self, *, observer: Observer | None = None, resume: RunDirectory | None = None
    ) -> tuple[RunDirectory, list[dict[str, Any]]]:
        """Make the run: read the data, train, evaluate, write everything into the run directory.

        Args:
            observer: told how it goes.
            resume: continue this run.

        Returns:
            The run directory and its records, as they stand in ``metrics.jsonl``.
        """

    def resolved(self: RecipeT) -> RecipeT:
        """With what ``auto`` means on this machine in its place, so that a saved config says what was done."""
        return replace(self, compute=self.compute.resolved(self.run.torch_device()))

    def options(self) -> dict[str, Any]:
        """Name and all options, as JSON knows them. Where a run goes is not part of what it is."""
        options = dataclasses.asdict(self)
        options["run"].pop("out")
        return {"recipe": self.name, **options}

    def title(self) -> str:
        """What is trained on what, in a line."""
        model = self.model.model + (f" of width {self.model.width}" if self.model.model == "small-resnet" else "")
        return f"{self.name} on {self.data.dataset}, {model}, {self.length()}, seed {self.run.seed}"

    def length(self) -> str:
        """How long it is trained, for the title."""
        return f"{self.schedule.epochs} epochs"

    def out(self) -> Path:
        """The run directory asked for, or a free name under ``runs``."""
        if self.run.out is not None:
            return Path(self.run.out)
        return RunDirectory.free_name(Path("runs"), f"{self.name}-{self.data.dataset}-seed{self.run.seed}")
