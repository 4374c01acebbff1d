"""CIFAR-10-C and CIFAR-100-C, from the official files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lethe._check import LetheError, one_of
from lethe.data import ImageSet
from lethe.evaluate._corruptions import check_severity
from lethe.evaluate._evaluation import OFFICIAL

FOLDERS = {"cifar10": ("CIFAR-10-C", 10), "cifar100": ("CIFAR-100-C", 100)}
STANDARD = (
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "defocus_blur",
    "glass_blur",
    "motion_blur",
    "zoom_blur",
    "snow",
    "frost",
    "fog",
    "brightness",
    "contrast",
    "elastic_transform",
    "pixelate",
    "jpeg_compression",
)
"""The fifteen that published means are over; the four extra files are left out."""
TEST_SIZE = 10_000


@dataclass(frozen=True)
class OfficialCorruptions:
    """The official files (Hendrycks and Dietterich, ICLR 2019): one ``.npy`` each, five severities of 10,000 images.

    Attributes:
        folder: ``CIFAR-10-C`` or ``CIFAR-100-C``, or the folder that holds it.
        dataset: ``cifar10`` or ``cifar100``.
        count: the first so many images of each severity, in the official order.
        image_size: average-pool to this size, as the network's data were; None: 32.
        device: of the images.
    """

    folder: Path
    dataset: str
    count: int = TEST_SIZE
    image_size: int | None = None
    device: torch.device | str = "cpu"

    def __post_init__(self) -> None:
        if self.dataset not in FOLDERS:
            raise LetheError(f"there are official corruptions of {' and '.join(FOLDERS)}, not of {self.dataset}.")
        missing = [f"{name}.npy" for name in (*STANDARD, "labels") if not self._file(name).is_file()]
        if missing:
            raise LetheError(
                f"{FOLDERS[self.dataset][0]} in {str(self.folder)!r} lacks {', '.join(missing)}: unpack the official "
                "archive there, or leave --corruptions-dir out and have corruptions made."
            )

        largest = int(self._read("labels", (5 * TEST_SIZE,)).max())
        name, classes = FOLDERS[self.dataset]
        if largest + 1 != classes:
            raise LetheError(
                f"{str(self.folder)!r} has labels up to {largest}, {name} has {classes} classes: name its own folder."
            )

    @property
    def key(self) -> str:
        """Official ones."""
        return OFFICIAL

    @property
    def source(self) -> str:
        """What they are."""
        return FOLDERS[self.dataset][0]

    @property
    def names(self) -> tuple[str, ...]:
        """The fifteen."""
        return STANDARD

    def images(self, name: str, severity: int) -> ImageSet:
        """The first ``count`` images under one corruption.

        Raises:
            LetheError: the file is damaged or not of CIFAR's shape.
        """
        one_of("corruption", name, STANDARD)
        check_severity(severity)
        start = (severity - 1) * TEST_SIZE
        pixels = self._read(name, (5 * TEST_SIZE, 32, 32, 3))[start : start + self.count]
        labels = self._read("labels", (5 * TEST_SIZE,))[start : start + self.count]
        images = torch.from_numpy(np.array(pixels)).permute(0, 3, 1, 2).contiguous()
        found = ImageSet(images, torch.from_numpy(labels.astype(np.int64)), FOLDERS[self.dataset][1])
        found = found if self.image_size is None else found.pooled(self.image_size)
        return found.to(self.device)

    def _file(self, name: str) -> Path:
        inner = self.folder / FOLDERS[self.dataset][0]
        return (inner if inner.is_dir() else self.folder) / f"{name}.npy"

    def _read(self, name: str, shape: tuple[int, ...]) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
        path = self._file(name)
        try:  # mapped, not read: one severity is 30 MB of 150; a pickle inside is never run
            content = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise LetheError(f"{str(path)!r} cannot be read ({error}): unpack the official archive again.") from error
        if content.shape != shape or content.dtype.kind not in "iu":
            raise LetheError(
                f"{str(path)!r} holds {content.dtype} of {content.shape}, not bytes of {shape}: "
                "unpack the official archive again."
            )
        found: np.ndarray[tuple[int, ...], np.dtype[np.generic]] = content
        return found
