"""The megabatches of a run, all known before it begins or arriving while it waits, as image sets."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Protocol

from torch.utils.data import Subset

from lethe.anytime import ArrivingMegabatches, Megabatch, MegabatchStream
from lethe.data import ImageSet
from lethe.engine._observer import Observer
from lethe.engine._saving import Saving, Stopped

TELL_EVERY_S = 300.0
"""How often a run that waits says so."""


@dataclass(frozen=True)
class Arrival:
    """The images of a megabatch: those to train on, to choose on, and the training images that are new."""

    train: ImageSet
    validation: ImageSet
    new: ImageSet


class Arrivals(Protocol):
    """Where a run takes its megabatches from.

    Attributes:
        expected: how many there will be; None: nobody knows.
        poll_seconds: how long to wait before looking again.
        ended: whether no more are to come, once :meth:`take` has found none.
        place: where they arrive, for the user.
    """

    expected: int | None
    poll_seconds: float
    place: str

    @property
    def ended(self) -> bool: ...

    def take(self, index: int) -> Arrival | None:
        """Megabatch ``index``, from 0; None if it is not there."""
        ...

    def train_images(self, index: int) -> int:
        """How many images it is trained on with; of one that is not there yet, as many as of the one before."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must keep of it."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        ...


class Known:
    """A data set that is cut into megabatches: indices into ``images``."""

    poll_seconds, place, ended = 0.0, "", True

    def __init__(self, stream: MegabatchStream, images: ImageSet) -> None:
        self.stream, self._images = stream, images
        self.expected: int | None = len(stream)

    def take(self, index: int) -> Arrival | None:
        """Each is there; after the last there is none."""
        if index >= len(self.stream):
            return None
        megabatch = self.stream[index]
        parts = (megabatch.train, megabatch.validation, megabatch.new)
        return Arrival(*(self._images.subset(list(part.indices)) for part in parts))

    def train_images(self, index: int) -> int:
        """After the last megabatch still as many as in it."""
        return len(self.stream[min(index, len(self.stream) - 1)].train.indices)

    def state_dict(self) -> dict[str, Any]:
        """The stream follows from the run's options alone."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to load."""


class Awaited:
    """Files in a folder, whose images come to the device of ``like``, and have as many classes."""

    expected: int | None = None

    def __init__(self, stream: ArrivingMegabatches, like: ImageSet) -> None:
        self.stream, self._like = stream, like
        self.poll_seconds, self.place = stream.poll_seconds, str(stream.folder)

    @property
    def ended(self) -> bool:
        """Whether a file says so, or nothing came for long."""
        return self.stream.ended

    def take(self, index: int) -> Arrival | None:
        """Look once."""
        megabatch: Megabatch | None = self.stream.take(index)
        if megabatch is None:
            return None
        return Arrival(*(self._set(part) for part in (megabatch.train, megabatch.validation, megabatch.new)))

    def train_images(self, index: int) -> int:
        """As many as the newest has; two before there is any."""
        newest = min(index, self.stream.arrived - 1)
        return 2 if newest < 0 else self.stream.train_images(newest)

    def state_dict(self) -> dict[str, Any]:
        """Which files are learnt, or being learnt."""
        return self.stream.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.stream.load_state_dict(state)

    def _set(self, part: Subset[Any]) -> ImageSet:
        images, labels = self.stream.dataset.gather(part.indices)
        return ImageSet(images, labels, self._like.classes).to(self._like.labels.device)


def wait_for(arrivals: Arrivals, index: int, saving: Saving, observer: Observer) -> Arrival | None:
    """Megabatch ``index``, from 0, as soon as it is there; None: no more are to come.

    Raises:
        Stopped: the observer asked for it while the run was waiting; its state is saved.
    """
    began = time.monotonic()
    told: float | None = None
    while (arrival := arrivals.take(index)) is None and not arrivals.ended:
        if saving.stops():
            saving.save()
            raise Stopped
        now = time.monotonic()
        if told is None or now - told >= TELL_EVERY_S:
            so_far = "" if told is None else f", for {(now - began) / 60:.0f} minutes now"
            observer.say(f"waiting for megabatch {index + 1} in {arrivals.place!r}{so_far}")
            told = now
        time.sleep(arrivals.poll_seconds)
    return arrival
