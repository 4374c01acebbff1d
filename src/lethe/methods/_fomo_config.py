"""FOMO's options."""

from __future__ import annotations

import dataclasses
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.optim import Optimizer

from lethe._check import LetheError, at_least, nearest, non_negative, one_of, positive, whole
from lethe._check import fraction as check_fraction
from lethe.consolidate._consistency import DISTANCES
from lethe.consolidate._stable import RAMPS
from lethe.forget import CRITERIA, Selector, Wanted, later_layers, named
from lethe.forget._fresh import INITIALISERS
from lethe.forget._granularity import GRANULARITIES
from lethe.forget._norm_statistics import FORGOTTEN_STATISTICS
from lethe.forget._optimizer_state import STATES
from lethe.forget._ranking import COUNTS
from lethe.methods._span import Span

if TYPE_CHECKING:
    from lethe.methods._fomo import FOMO

READINGS = ("step", "stochastic", "phase")
STABLE_STATISTICS = ("measure", "average", "copy", "recompute")
OWN = ("start", "auto_start", "period", "fraction", "decay", "consistency")
"""Options that FOMO itself takes by name; its start counts epochs, or is "auto"."""


@dataclass(frozen=True, kw_only=True)
class FOMOConfig:
    """FOMO's own options.

    The defaults go with a learning rate that stays high, as measured in ``results/fomo-small``. What is remembered of
    the paper's constants, :data:`PAPER`, goes with one that falls.
    """

    start: float = 0.15
    """When forgetting begins, as a share of the epochs (the paper's, unverified: epoch 105 of 200)."""
    auto_start: bool = False
    """Begin as soon as overfitting has set in, whatever start says: validation accuracy is past its best."""
    patience: int = 5
    """Of the automatic start: evaluations in a row without a new best validation accuracy."""
    period: int = 4
    """Epochs from one forgetting to the next (the paper's, unverified: 5)."""
    relearn_lr: float | None = None
    """Learning rate after the first forgetting, as a share of the initial one; none: the schedule's."""
    criterion: str = "random"
    """What is forgotten: random, magnitude, snip, fisher, gradient (the least of it), dormant (units), or whole (all
    that may be)."""
    fraction: float = 0.25
    """Share of the later layers' weights to forget (the paper's, unverified: 0.035). Not for dormant and whole."""
    later_layers: float = 0.75
    """Which layers forget: the last share of the convolutional and linear layers."""
    forget_only: tuple[str, ...] = ()
    """Which parameters forget instead, by patterns of their full names: stages.2.* linear.weight (of small-resnet),
    network.layer4.* (of resnet18)."""
    granularity: str = "weights"
    """Forget single weights, output channels, or layers (which are always counted together)."""
    count: str = "per-tensor"
    """The share is that of each tensor (per-tensor), or of all together (overall)."""
    criterion_images: int = 512
    """How many training images, as they are trained on, a criterion that looks at data is given."""
    dormant_tau: float = 0.1
    """A unit is dormant up to this share of its layer's mean activation."""
    reinit: str = "layer"
    """New values: by the layer's own initialiser (layer), kaiming, rewind to the initial weights, or zero."""
    shrink: float = 0.0
    """Forgotten weights become shrink times the old plus perturb times the new value."""
    perturb: float = 1.0
    """See shrink: 0 and 1 forget wholly, 0.4 and 0.1 are shrink-and-perturb's."""
    forgotten_state: str = "clear"
    """The optimizer's state of what is forgotten: clear, keep, or mean (Adam's second moments even)."""
    forgotten_statistics: str = "leave"
    """Batch norm's statistics of channels that are forgotten whole: leave or reset."""
    decay: float | None = None
    """Of the stable model's moving average, per step, or per phase; none: such that it spans average_phases."""
    average_phases: float = 5.0
    """How many relearning phases the average spans, unless decay is given: of so many steps, 1 - 1/steps."""
    average: str = "step"
    """When the stable model moves: at each step, with a probability at each (stochastic), or once a phase."""
    average_probability: float = 0.2
    """Of a stochastic average (CURE: 0.2)."""
    ramp: str = "even"
    """How the decay grows: even (over the updates so far), slow ((1 + t)/(10 + t)), none."""
    stable_statistics: str = "measure"
    """The stable model's batch norm statistics: recompute after each epoch, by 1F an image; measure on what it is asked
    for the consistency loss, without a pass of its own (averaged where it is not asked); average; or copy."""
    consistency: float = 1.0
    """Weight of the consistency loss on the images trained on, after the first forgetting."""
    clean_consistency: float = 0.0
    """Weight of a consistency loss on the clean images, too (CURE: 1); it costs 1F a step and 3F a pass."""
    distance: str = "kl"
    """Of the consistency loss: kl or mse."""
    temperature: float = 1.0
    """Of the consistency loss."""

    def __post_init__(self) -> None:
        for name in ("start", "fraction", "later_layers", "shrink", "average_probability"):
            check_fraction(name, getattr(self, name))
        for name in ("period", "patience", "criterion_images"):
            whole(name, getattr(self, name), 1)
        for name in ("consistency", "clean_consistency", "perturb", "dormant_tau"):
            non_negative(name, getattr(self, name))
        if self.relearn_lr is not None:
            non_negative("relearn_lr", self.relearn_lr)
        if self.decay is not None:
            check_fraction("decay", self.decay)
        at_least("average_phases", self.average_phases, 1)
        positive("temperature", self.temperature)
        for name, known in (
            ("criterion", CRITERIA),
            ("granularity", GRANULARITIES),
            ("count", COUNTS),
            ("reinit", INITIALISERS),
            ("forgotten_state", STATES),
            ("forgotten_statistics", FORGOTTEN_STATISTICS),
            ("average", READINGS),
            ("ramp", RAMPS),
            ("stable_statistics", STABLE_STATISTICS),
            ("distance", DISTANCES),
        ):
            one_of(name, getattr(self, name), known)

    def idle(self) -> list[tuple[str, str]]:
        """Options that were chosen and act on nothing beside others, each with the reason."""
        criterion = CRITERIA[self.criterion]
        counted = "" if criterion.counts else f"{self.criterion} counts nothing"
        asked = "" if self.consistency or self.clean_consistency else "there is no consistency loss"
        reasons = {
            "start": "the start is automatic" if self.auto_start else "",
            "patience": "" if self.auto_start else "the start is not automatic",
            "fraction": counted,
            "granularity": counted,
            "count": counted,
            "later_layers": "forget_only says what" if self.forget_only else "",
            "criterion_images": "" if criterion.needs_batches else f"{self.criterion} looks at no images",
            "dormant_tau": "" if self.criterion == "dormant" else f"the criterion is {self.criterion}",
            "average_phases": "" if self.decay is None else "a decay is given",
            "average_probability": "" if self.average == "stochastic" else f"the average is per {self.average}",
            "distance": asked,
            "temperature": asked,
        }
        default = FOMOConfig()
        return [(n, why) for n, why in reasons.items() if why and getattr(self, n) != getattr(default, n)]

    @classmethod
    def take(cls, options: dict[str, Any]) -> FOMOConfig:
        """The options that :class:`lethe.FOMO` is given beside those that it takes under their own names."""
        known = [field.name for field in dataclasses.fields(cls) if field.name not in OWN]
        if isinstance(options.get("forget_only"), str):  # whose letters would be patterns
            options = {**options, "forget_only": (options["forget_only"],)}
        for name in options:
            if name == "auto_start":
                raise LetheError("FOMO has no option 'auto_start': it is start='auto'.")
            if name not in known:
                from lethe.methods._fomo import FOMO  # which holds these options

                own = [p for p in inspect.signature(FOMO).parameters if p not in ("model", "options")]
                every = [*own, *known]
                raise LetheError(f"FOMO has no option {name!r}.{nearest(name, every)} Known: {', '.join(every)}.")
        return cls(**options)

    def selector(self) -> Selector:
        """Which parameters may be forgotten."""
        return named(*self.forget_only) if self.forget_only else later_layers(self.later_layers)

    def span(self, period: int) -> Span:
        """How long the average is, where no decay is given.

        Raises:
            LetheError: it has no ramp, without which it needs its decay from the first step on.
        """
        if self.ramp == "none":
            raise LetheError("ramp 'none' needs a decay: give one, or leave the ramp even.")
        return Span(self.average_phases * period, self.average_probability if self.average == "stochastic" else 1.0)

    def wanted(self, fraction: float, select: Any) -> Wanted:
        """What the criterion is asked for."""
        return Wanted(fraction, select, self.granularity, self.count, self.dormant_tau)

    def build(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        epochs: int,
        generator: torch.Generator,
        stable: nn.Module | None = None,
    ) -> FOMO:
        """FOMO for a run of so many epochs; ``stable`` is a ready copy of the network, as FSDP2 needs it."""
        from lethe.methods._fomo import FOMO  # which holds these options

        fomo = FOMO(
            model,
            optimizer,
            start="auto" if self.auto_start else round(self.start * epochs),
            period=self.period,
            fraction=self.fraction,
            decay=self.decay,
            consistency=self.consistency,
            generator=generator,
            stable=stable,
            **{name: value for name, value in vars(self).items() if name not in OWN},
        )
        fomo._loop.own = False
        return fomo


PAPER = FOMOConfig(start=0.525, period=5, fraction=0.035, later_layers=0.5, decay=0.999, stable_statistics="average")
"""The paper's constants as they are remembered, unverified: epoch 105 of 200, each 5 epochs, 3.5 %, decay 0.999."""
