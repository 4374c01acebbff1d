"""Megabatches that arrive as files in a folder, nobody knows how many."""

from __future__ import annotations

import logging
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lethe._check import LetheError, at_least, non_negative, positive
from lethe._check import seed as check_seed
from lethe.anytime._arrived_set import ArrivedSet
from lethe.anytime._megabatch import Megabatch, with_replay
from lethe.anytime._megabatch_file import Arrays, checked, read_npz
from lethe.anytime._replay import Replay, replay_rule
from lethe.anytime._split import first_of_each, trained_of

END = "end"
"""A file of this name ends the stream, once all that lies beside it is learnt."""
DAMAGED = "damaged"
"""The folder, within the one that is watched, into which damaged files are moved."""
PARTS = ("train", "validation")


@dataclass(frozen=True)
class _Arrived:
    """A megabatch that has arrived: its file, a checksum, and the numbers of its images."""

    name: str
    images: int
    checksum: int
    train: list[int]
    validation: list[int]


class ArrivingMegabatches:
    """Watch a folder in which megabatches arrive as files, and take them in the order of their names.

    A megabatch is a file ``NAME.npz`` with two arrays: ``images``, bytes, (n, h, w, c) or (n, c, h, w), and
    ``labels``, whole numbers, (n,). Whoever writes it writes it aside and then renames it, so that there is nothing by
    its final name until it is whole; names that begin with a dot are not looked at::

        np.savez(folder / ".day-007.npz", images=images, labels=labels)
        os.replace(folder / ".day-007.npz", folder / "day-007.npz")

    A file that cannot be read is waited for while it changes, for those who copy files in place. One that is damaged
    (cut short, another shape, a label out of range, pickled objects) is told of, moved into ``damaged/``, and left out.
    A file called ``end`` ends the stream, and so do so many minutes in which nothing arrives.

    Example::

        for megabatch in ArrivingMegabatches("incoming", replay=Buffer(5000)):
            train(model, megabatch.train, megabatch.validation)
            publish(model)

    Iterating waits for the next one, looking once in ``poll_seconds``; :meth:`take` looks once. Images that are not
    replayed are let go of. :meth:`state_dict` says which files are learnt: a stream that goes on from it needs the
    files of what is still replayed where they were, unchanged.

    Args:
        folder: to watch. A file that arrives late is next, whatever its name; each name counts once, so a writer gives
            every megabatch another one.
        replay: as of :class:`MegabatchStream`.
        validation: share of each megabatch that is held out, in [0, 1).
        seed: of each megabatch's permutation and of what a buffer keeps. None: the order of the file, with the
            validation images at its end.
        shots: keep of each part of a megabatch the first so many images of each class; None: all.
        image_shape: that images must have, (c, h, w); None: that of the first.
        classes: labels must be less; None: any.
        idle_minutes: the stream ends when nothing has arrived for so long while it was waited for; None: never.
        poll_seconds: between two looks.
        settle_seconds: a file that cannot be read is given up when it has not changed for so long.
        read_folder: how a folder in place of a file becomes images and labels; None: folders are not looked at.

    Attributes:
        ended: whether the last look found that nothing more is to come.
        on_damaged: called with a file's name and what is wrong with it, before it is set aside; it logs an error.

    Raises:
        LetheError: there is no such folder, or a value out of range.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        replay: str | Replay = "full",
        validation: float = 0.1,
        seed: int | None = 0,
        shots: int | None = None,
        image_shape: tuple[int, ...] | None = None,
        classes: int | None = None,
        idle_minutes: float | None = None,
        poll_seconds: float = 1.0,
        settle_seconds: float = 2.0,
        read_folder: Callable[[Path], tuple[NDArray[Any], NDArray[Any]]] | None = None,
    ) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise LetheError(f"there is no folder {str(folder)!r} for megabatches to arrive in: make it first.")
        if not 0.0 <= validation < 1.0:
            raise LetheError(f"validation must lie in [0, 1), got {validation}: it is a share of each megabatch.")
        if shots is not None:
            at_least("shots", shots, 1)
        if idle_minutes is not None:
            positive("idle_minutes", idle_minutes)
        self.replay = replay_rule(replay)
        self.validation_share, self.shots = validation, shots
        self.seed = None if seed is None else check_seed("seed", seed)
        self.image_shape, self.classes = image_shape, classes
        self.idle_minutes = idle_minutes
        self.poll_seconds = positive("poll_seconds", poll_seconds)
        self.settle_seconds = non_negative("settle_seconds", settle_seconds)
        self.read_folder = read_folder
        self.ended = False
        self.on_damaged: Callable[[str, str], object] = self._log
        self.dataset = ArrivedSet(self._again)
        self._arrived: list[_Arrived] = []
        self._passed_over: set[str] = set()
        self._seen: dict[str, tuple[tuple[int, int, int], float]] = {}
        self._idle_since: float | None = None

    def __iter__(self) -> Iterator[Megabatch]:
        while True:  # from where it is, in a loop begun anew or after a state was loaded, too
            megabatch = self.take(self.arrived)
            if megabatch is not None:
                yield megabatch
            elif self.ended:
                return
            else:
                time.sleep(self.poll_seconds)

    @property
    def arrived(self) -> int:
        """How many megabatches have been taken."""
        return len(self._arrived)

    def take(self, index: int) -> Megabatch | None:
        """Megabatch number ``index``, from 0, if it has been taken before or is there now; it never waits.

        Raises:
            LetheError: a file that is still needed is gone, or has changed.
        """
        if not 0 <= index <= len(self._arrived):
            raise IndexError(f"megabatch {index} of a stream of which {len(self._arrived)} have arrived")
        if index == len(self._arrived) and not self._look():
            return None
        megabatch = self._megabatch(index)
        self.dataset.keep([*megabatch.train.indices, *megabatch.validation.indices])
        return megabatch

    def train_images(self, index: int) -> int:
        """How many images megabatch ``index``, which has arrived, is trained on with."""
        return len(self._megabatch(index).train)

    def state_dict(self) -> dict[str, Any]:
        """Which files have been taken, and how; tensors, numbers and strings."""
        files = [
            {**vars(one), "train": torch.tensor(one.train), "validation": torch.tensor(one.validation)}
            for one in self._arrived
        ]
        return {"image_shape": None if self.image_shape is None else list(self.image_shape), "files": files}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state_dict` returned; files are read when their images are needed."""
        shape = state["image_shape"]
        self.image_shape = None if shape is None else tuple(shape)
        self._arrived = [_Arrived(**{**one, **{part: one[part].tolist() for part in PARTS}}) for one in state["files"]]
        self.dataset = ArrivedSet(self._again)
        for one in self._arrived:
            self.dataset.append(one.images)

    def _megabatch(self, index: int) -> Megabatch:
        train, validation = ([getattr(one, part) for one in self._arrived[: index + 1]] for part in PARTS)
        both = self.dataset, self.dataset
        return with_replay(train, validation, both, self.replay, self.validation_share, self.seed)

    def _look(self) -> bool:
        """Take the next megabatch if there is one, and set aside what is damaged before it."""
        now = time.monotonic()
        ended = (self.folder / END).exists()  # asked first: what came before it must not be missed
        for path in self._candidates():
            try:
                self._add(path)
            except FileNotFoundError:  # taken away again
                continue
            except LetheError as error:
                self._idle_since = now
                if self._still_changes(path, now):
                    return False
                self._set_aside(path, str(error))
            else:
                self._idle_since = None
                return True
        self._idle_since = now if self._idle_since is None else self._idle_since
        idle = self.idle_minutes is not None and now - self._idle_since >= 60 * self.idle_minutes
        self.ended = ended or idle
        return False

    def _candidates(self) -> list[Path]:
        known = {one.name for one in self._arrived} | self._passed_over
        try:
            there = list(self.folder.iterdir())
        except OSError:  # a network's folder that is gone for a while
            return []
        return sorted(
            path
            for path in there
            if path.name not in known
            and not path.name.startswith(".")
            and (
                path.suffix == ".npz"
                or (self.read_folder is not None and path.name not in (DAMAGED, END) and path.is_dir())
            )
        )

    def _read(self, path: Path) -> Arrays:
        if self.read_folder is None or not path.is_dir():
            found = read_npz(path)
        else:
            try:
                found = self.read_folder(path)
            except FileNotFoundError:
                raise
            except OSError as error:
                raise LetheError(f"it cannot be read ({error.strerror})") from error
        return checked(*found, self.image_shape, self.classes)

    def _add(self, path: Path) -> None:
        images, labels = self._read(path)
        index, count = len(self._arrived), len(labels)
        order = np.arange(count) if self.seed is None else np.random.default_rng([self.seed, index]).permutation(count)
        trained = trained_of(count, self.validation_share)
        parts = [order[:trained], order[trained:]]
        if self.shots is not None:
            parts = [first_of_each(part, labels, self.shots) for part in parts]
        if len(parts[0]) < 2 or (self.validation_share and not len(parts[1])):
            raise LetheError(
                f"its {count} images are too few: {len(parts[0])} would be trained on, {len(parts[1])} held out"
            )
        if index == 0:  # where the published buffer would find too few to draw from
            share = self.validation_share
            self.replay.recall([parts[0].tolist()], 0)
            self.replay.scaled(share / (1.0 - share)).recall([parts[1].tolist()], 0)
        numbers = self.dataset.append(count, (images, labels))
        train, validation = (numbers[part].tolist() for part in parts)
        self.image_shape = images.shape[1:]
        self._arrived.append(_Arrived(path.name, count, _checksum(images, labels), train, validation))

    def _again(self, index: int) -> Arrays:
        """The arrays of a megabatch that is learnt, whose images are needed once more."""
        one = self._arrived[index]
        path = self.folder / one.name
        what = f"the megabatch {str(path)!r}, whose images are still replayed,"
        try:
            images, labels = self._read(path)
        except (OSError, LetheError) as error:
            raise LetheError(f"{what} cannot be read any more ({error}): put it back as it was.") from error
        if (len(labels), _checksum(images, labels)) != (one.images, one.checksum):
            raise LetheError(f"{what} has changed since it was learnt: put it back as it was.")
        return images, labels

    def _still_changes(self, path: Path, now: float) -> bool:
        try:
            files = [found for found in path.rglob("*") if found.is_file()] if path.is_dir() else [path]
            stats = [file.stat() for file in files]
        except OSError:  # it is being moved
            return True
        stamp = len(stats), sum(s.st_size for s in stats), max((s.st_mtime_ns for s in stats), default=0)
        before = self._seen.get(path.name)
        if before is None or before[0] != stamp:
            self._seen[path.name] = stamp, now
            return self.settle_seconds > 0
        return now - before[1] < self.settle_seconds

    def _set_aside(self, path: Path, reason: str) -> None:
        self._seen.pop(path.name, None)
        self.on_damaged(path.name, reason)
        to = self.folder / DAMAGED / path.name
        number = 1
        while to.exists():
            number += 1
            to = to.with_name(f"{path.stem}-{number}{path.suffix}")
        try:
            to.parent.mkdir(exist_ok=True)
            path.rename(to)
        except OSError:  # a folder that one may only read
            self._passed_over.add(path.name)

    def _log(self, name: str, reason: str) -> None:
        logging.getLogger("lethe").error("the megabatch %r is set aside: %s.", str(self.folder / name), reason)


def _checksum(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> int:
    return zlib.crc32(labels.data, zlib.crc32(images.data))
