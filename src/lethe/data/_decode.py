"""From an image file to bytes of one size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lethe._check import LetheError
from lethe.data._random_resized_crop import RandomResizedCrop

EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
"""The image files that torchvision's ImageFolder reads, in any case of letters."""


@dataclass(frozen=True)
class Decoder:
    """Decodes files, through Pillow, as RGB.

    Attributes:
        size: height and width of what comes out.
        short_side: the image is resized, bilinearly, until its shorter side has so many pixels; its centre is kept.
    """

    size: int
    short_side: int

    def __call__(self, path: str, crop: RandomResizedCrop | None = None, seed: int = 0) -> Tensor:
        """Decode a file to (3, size, size), uint8: its centre, or with ``crop`` the part that ``seed`` draws.

        Raises:
            LetheError: the file is missing, damaged, or no image.
        """
        from PIL import Image

        try:
            with Image.open(path) as file:
                image = _in_bytes(file, path).convert("RGB")
        except LetheError:
            raise
        except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
            reason = str(error).partition("\n")[0]
            raise LetheError(f"the image {path!r} is missing or damaged ({reason}): put a whole file there.") from error
        return self._as_bytes(self._centre(image) if crop is None else crop.of_one(image, (self.size,) * 2, seed))

    def _centre(self, image: Any) -> Any:
        from torchvision.transforms.v2 import functional

        resized = functional.resize(image, [self.short_side], antialias=True)
        return functional.center_crop(resized, [self.size, self.size])

    @staticmethod
    def _as_bytes(image: Any) -> Tensor:
        from torchvision.transforms.v2 import functional

        pixels: Tensor = functional.pil_to_tensor(image)
        return pixels.to(torch.uint8)


def _in_bytes(image: Any, path: str) -> Any:
    """Pixels of more than 8 bits would be clipped at 255, to white: of 16 the higher 8 count.

    Raises:
        LetheError: the pixels are 32-bit numbers, whose range nobody says.
    """
    from PIL import Image

    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise LetheError(f"the image {path!r} has pixels of 32 bits: save it with 8 or 16.")
    return image
