"""How the data of an anytime run arrives."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lethe._check import LetheError, at_least, one_of, positive
from lethe.anytime import ArrivingMegabatches, MegabatchStream
from lethe.anytime._replay import parse_replay
from lethe.data import DataConfig, Splits, arriving_folder

ORDERS = ("seed", "published")


def chosen_on_others(stream: MegabatchStream, labels: Tensor) -> list[str]:
    """What the user should know of a stream that goes by class: its validation images are of other classes.

    Args:
        stream: of a data set.
        labels: of that data set, (N,).

    Returns:
        A sentence, of the first megabatch of whose validation images most are such; or nothing.
    """
    for megabatch in stream:
        trained, held_out = (labels[list(part.indices)] for part in (megabatch.train, megabatch.validation))
        known = float(torch.isin(held_out, trained).float().mean())
        if known < 0.5:
            return [
                f"only {known:.0%} of the validation images of megabatch {megabatch.index + 1} are of classes that are "
                "trained on, so its best epoch is chosen blindly: the data set lies class after class, and arrives in "
                "that order. --order seed mixes it."
            ]
    return []


@dataclass(frozen=True, kw_only=True)
class StreamConfig:
    """How the data arrives. The data set's own validation part is empty here: each megabatch has one."""

    megabatches: int = 8
    """How many arrivals; not looked at beside megabatch-size or arrivals."""
    megabatch_size: int | None = None
    """In place of megabatches: how many images arrive at a time, those that are held out among them, as LURE's
    meta_batch_size; images that do not fill a last megabatch are left out."""
    replay: str = "full"
    """What is trained on again: full, none, previous, a number: a buffer of so many images, sampled evenly from all
    before; or published-buffer: LURE's, which grows by 182 draws a megabatch (published-buffer:20: by 20)."""
    holdout: float = 0.1
    """Share of each megabatch that is held out to choose the best epoch on, never augmented."""
    order: str = "seed"
    """seed: images arrive in an order that split-seed draws; published: in the order of the data set, with the
    validation images at its end, as in LURE's code (and of each file, beside arrivals)."""
    shots: int | None = None
    """Few-shot: keep of each megabatch the first so many training images of each class, and as many validation images
    at most; none: all. The published code keeps so many of the whole data set, and then cuts."""
    balanced: bool = False
    """Share each class out evenly over the megabatches, to one image."""
    arrivals: str | None = None
    """A folder in which megabatches arrive as files while the run waits, in place of the training images of dataset:
    NAME.npz with images (uint8; n,h,w,c or n,c,h,w) and labels (whole numbers), written aside and then renamed, in the
    order of their names; of imagefolder also a folder NAME/CLASS/. They must be as the test images of dataset are. A
    file called end ends the stream; a damaged one is moved into damaged/."""
    idle_minutes: float | None = None
    """Beside arrivals: end the stream, too, when nothing has arrived for so long; none: wait for ever."""

    def __post_init__(self) -> None:
        at_least("megabatches", self.megabatches, 1)
        parse_replay(self.replay)
        one_of("order", self.order, ORDERS)
        if not 0.0 < self.holdout < 1.0:
            raise LetheError(f"holdout must lie between 0 and 1, got {self.holdout}: the best epoch is chosen on it.")
        for name, minimum in (("megabatch_size", 2), ("shots", 1)):
            if (value := getattr(self, name)) is not None:
                at_least(name, value, minimum)
        if self.arrivals is not None:
            for name in ("megabatch_size", "balanced"):
                if getattr(self, name):
                    raise LetheError(
                        f"{name} does not go with arrivals, whose files are the megabatches: leave it out."
                    )
        elif self.idle_minutes is not None:
            raise LetheError("idle_minutes is of arrivals, which are not asked for: leave it out.")
        if self.idle_minutes is not None:
            positive("idle_minutes", self.idle_minutes)

    @property
    def in_file_order(self) -> bool:
        """Whether the training images must be loaded in the order of the data set."""
        return self.order == "published"

    def build(self, splits: Splits, data: DataConfig) -> MegabatchStream | ArrivingMegabatches:
        """The stream of a run: of its training images, or of what arrives.

        Raises:
            LetheError: no folder to watch, too few images, or a megabatch without a validation image.
        """
        seed = None if self.in_file_order else data.split_seed
        replay = parse_replay(self.replay)
        if self.arrivals is not None:
            return ArrivingMegabatches(
                self.arrivals,
                replay=replay,
                validation=self.holdout,
                seed=seed,
                shots=self.shots,
                image_shape=splits.test.shape,
                classes=splits.test.classes,
                idle_minutes=self.idle_minutes,
                read_folder=arriving_folder(data),
            )
        stream = MegabatchStream(
            splits.train,
            self.megabatches if self.megabatch_size is None else None,
            megabatch_size=self.megabatch_size,
            replay=replay,
            validation=self.holdout,
            seed=seed,
            shots=self.shots,
            balanced=self.balanced,
        )
        if any(len(megabatch.validation) == 0 for megabatch in stream):
            raise LetheError("a megabatch has no validation image: ask for fewer megabatches or a larger --holdout.")
        if any(len(megabatch.train) < 2 for megabatch in stream):  # of one alone batch norm has no variance
            raise LetheError("a megabatch has fewer than 2 training images: ask for fewer, or a smaller --holdout.")
        return stream
