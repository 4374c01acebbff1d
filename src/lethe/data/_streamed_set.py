"""A labelled set of images that stay in their files until they are needed."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.context import BaseContext
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lethe._check import LetheError
from lethe.data._decode import Decoder
from lethe.data._image_set import ImageSet, as_float
from lethe.data._random_resized_crop import RandomResizedCrop

_Item: TypeAlias = "tuple[str, int]"
"""A file, and the seed of its crop."""


class StreamedSet(ImageSet):
    """Image files and their labels: an image set for what does not fit into memory.

    It is cut into batches as any image set (:func:`~lethe.data.batches`), which are decoded ahead in worker processes
    and come to the device as bytes. :attr:`images` decodes everything: for parts that fit into memory.

    Args:
        paths: the files.
        labels: (N,), int64; their device is the one that batches come to.
        classes: number of classes.
        decode: how a file becomes an image.
        workers: processes that decode; 0: in this one. The images do not depend on it.
    """

    paths: tuple[str, ...]
    decode: Decoder
    workers: int

    def __init__(self, paths: Sequence[str], labels: Tensor, classes: int, decode: Decoder, workers: int = 0) -> None:
        for name, value in (("paths", tuple(paths)), ("labels", labels), ("classes", classes)):
            object.__setattr__(self, name, value)  # an image set is frozen
        object.__setattr__(self, "decode", decode)
        object.__setattr__(self, "workers", workers)

    def __repr__(self) -> str:
        return f"StreamedSet({len(self)} files of {self.classes} classes, {self.decode}, workers={self.workers})"

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return as_float(self.decode(self.paths[index]).to(self.labels.device)), self.labels[index]

    @property
    def images(self) -> Tensor:
        """All images, decoded now, (N, 3, size, size), uint8."""
        return self.decoded().images

    @property
    def shape(self) -> tuple[int, ...]:
        """Channels, height and width of an image."""
        return 3, self.decode.size, self.decode.size

    @property
    def decoded_bytes(self) -> int:
        """Memory that the images take, decoded."""
        return len(self) * 3 * self.decode.size**2

    def decoded(self) -> ImageSet:
        """The same set in memory."""
        out = torch.empty(len(self), *self.shape, dtype=torch.uint8)

        def put(index: int) -> None:
            out[index] = self.decode(self.paths[index])

        with ThreadPoolExecutor() as pool:  # Pillow decodes without holding Python's lock
            for _ in pool.map(put, range(len(self))):
                pass
        return ImageSet(out.to(self.labels.device), self.labels, self.classes)

    def subset(self, indices: Tensor | list[int]) -> StreamedSet:
        """The images at these positions; none is read."""
        at = torch.as_tensor(indices, dtype=torch.long)
        paths = [self.paths[index] for index in at.tolist()]
        return StreamedSet(paths, self.labels[at.to(self.labels.device)], self.classes, self.decode, self.workers)

    def relabelled(self, labels: Tensor) -> StreamedSet:
        """The same images under other labels, (N,)."""
        return StreamedSet(self.paths, labels, self.classes, self.decode, self.workers)

    def to(self, device: torch.device | str) -> StreamedSet:
        """The set whose batches come to another device."""
        return self.relabelled(self.labels.to(device))

    def pooled(self, size: int) -> ImageSet:
        """The images, decoded now, average-pooled to ``size`` × ``size``."""
        return self.decoded().pooled(size)

    def read(
        self,
        places: Sequence[Sequence[int]],
        crop: RandomResizedCrop | None = None,
        generator: torch.Generator | None = None,
        rows: Sequence[slice] | None = None,
    ) -> Iterator[Tensor]:
        """Yield batches of images, (B, 3, size, size), uint8, on the labels' device.

        Args:
            places: of each batch, the positions of its images.
            crop: random crops instead of the centre.
            generator: of the crops. Seeds are known ahead, from a copy; the generator itself goes on batch by batch,
                as each is yielded, so that what a checkpoint keeps of it continues after the last batch that was used.
            rows: of each batch, those to read; the others draw their seeds, too. None: all.

        Raises:
            LetheError: a file is missing, damaged, or no image.
        """
        seeds = [[0] * len(place) for place in places]
        if crop is not None and generator is not None:
            ahead = torch.Generator(generator.device)
            ahead.set_state(generator.get_state())
            seeds = [crop.seeds(len(place), ahead) for place in places]
        items = [
            [(self.paths[index], seed) for index, seed in zip(place[mine], drawn[mine], strict=True)]
            for place, drawn, mine in zip(places, seeds, rows or [slice(None)] * len(places), strict=True)
        ]
        for images, place in zip(self._load(items, crop), places, strict=True):
            if crop is not None and generator is not None:
                crop.seeds(len(place), generator)
            yield images

    def _load(self, items: list[list[_Item]], crop: RandomResizedCrop | None) -> Iterator[Tensor]:
        device, workers = self.labels.device, min(self.workers, len(items))
        loader = DataLoader(
            _Files(self.decode, crop),
            batch_sampler=items,  # what the data set is indexed by is a file and a seed
            num_workers=workers,
            collate_fn=_as_it_is,
            pin_memory=device.type == "cuda",
            worker_init_fn=_begin_worker,
            multiprocessing_context=_context() if workers else None,
            generator=torch.Generator(),  # of a seed that nobody uses; else it came from torch's global one
        )
        for images in loader:
            if isinstance(images, str):
                raise LetheError(images)
            yield images.to(device, non_blocking=True)


class _Files(Dataset[Tensor]):
    """What a worker holds."""

    def __init__(self, decode: Decoder, crop: RandomResizedCrop | None) -> None:
        self.decode, self.crop = decode, crop

    def __getitems__(self, items: list[_Item]) -> Tensor | str:
        """A batch, or what is wrong with it: an exception would come back as the text of a whole traceback."""
        try:
            return torch.stack([self.decode(path, self.crop, seed) for path, seed in items])
        except LetheError as error:
            return str(error)


def _as_it_is(batch: Any) -> Any:
    return batch


def _begin_worker(worker: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process ends its step, and then its workers


def _context() -> BaseContext:
    """Processes that inherit no state: forked, where that is possible, from one that has just imported torch.

    Starting them takes hundredths of a second, where each would else import torch again, at every epoch.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "torchvision.transforms.v2", "PIL.Image"])
    return context
