"""Natural corruptions, made here from a seed: for data sets that have no official corrupted copy at hand."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lethe._check import LetheError, one_of
from lethe._check import seed as check_seed
from lethe.data import ImageSet, batches

Corruption: TypeAlias = Callable[[Tensor, int, torch.Generator], Tensor]
"""From images (B, C, H, W) in [0, 1], a severity from 1 to 5 and a generator to images that may leave [0, 1]."""

SEVERITIES = (1, 2, 3, 4, 5)
BLOCK = 250
"""Images that are corrupted at a time, whatever the batch size: an image's draws depend on its place alone."""


class CorruptionSet(Protocol):
    """Corrupted copies of a test set."""

    @property
    def key(self) -> str:
        """Under which an evaluation keeps them: official and made ones lie side by side."""
        ...

    @property
    def source(self) -> str:
        """What they are, for tables and files."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """The corruptions."""
        ...

    def images(self, name: str, severity: int) -> ImageSet:
        """The images under one of them."""
        ...


def gaussian_noise(x: Tensor, severity: int, generator: torch.Generator) -> Tensor:
    """Add N(0, s²) to each value."""
    return x + (0.04, 0.06, 0.08, 0.09, 0.10)[severity - 1] * torch.randn(x.shape, generator=generator)


def shot_noise(x: Tensor, severity: int, generator: torch.Generator) -> Tensor:
    """Count photons: a Poisson draw with so many at white."""
    photons = (500, 250, 100, 75, 50)[severity - 1]
    return torch.poisson(x * photons, generator=generator) / photons


def impulse_noise(x: Tensor, severity: int, generator: torch.Generator) -> Tensor:
    """Put a share of the values to black or white."""
    share = (0.01, 0.02, 0.03, 0.05, 0.07)[severity - 1]
    hit = torch.rand(x.shape, generator=generator) < share
    return torch.where(hit, (torch.rand(x.shape, generator=generator) < 0.5).to(x), x)


def gaussian_blur(x: Tensor, severity: int, generator: torch.Generator) -> Tensor:
    """Blur with a deviation in pixels."""
    from torchvision.transforms.v2.functional import gaussian_blur as blur

    sigma = (0.4, 0.6, 0.7, 0.8, 1.0)[severity - 1]
    reach = min(math.ceil(4 * sigma), *(side - 1 for side in x.shape[-2:]))
    blurred: Tensor = blur(x, [2 * reach + 1] * 2, [sigma, sigma])
    return blurred


def motion_blur(x: Tensor, severity: int, generator: torch.Generator) -> Tensor:
    """Blur along a line within 45° of the horizontal, drawn for each image, so many pixels long."""
    length = (2.0, 3.0, 4.0, 5.0, 6.0)[severity - 1]
    b, c, h, w = x.shape
    angle = (torch.rand(b, generator=generator) - 0.5) * (math.pi / 2)
    total = torch.zeros_like(x)
    points = torch.linspace(-length / 2, length / 2, 9)
    for point in points:  # a pixel is 2 / w wide in the grid's unit
        shift = torch.stack((point * angle.cos() * 2 / w, point * angle.sin() * 2 / h), 1)
        theta = torch.cat((torch.eye(2).expand(b, 2, 2), shift[:, :, None]), 2)
        grid = F.affine_grid(theta, [b, c, h, w], align_corners=False)
        total += F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)
    return total / len(points)


def brightness(x: Tensor, severity: int, generator: torch.Generator) -> Tensor:
    """Raise the value of HSV, hue and saturation kept."""
    value = x.amax(1, keepdim=True)
    raised = (value + (0.05, 0.1, 0.15, 0.2, 0.3)[severity - 1]).clamp(max=1.0)
    return torch.where(value > 0, x * (raised / value.clamp(min=1e-8)), raised)


def contrast(x: Tensor, severity: int, generator: torch.Generator) -> Tensor:
    """Draw each channel towards its mean."""
    mean = x.mean((2, 3), keepdim=True)
    return (x - mean) * (0.75, 0.5, 0.4, 0.3, 0.15)[severity - 1] + mean


def saturate(x: Tensor, severity: int, generator: torch.Generator) -> Tensor:
    """Change the saturation of HSV, hue and value kept; nothing happens to grey."""
    factor, more = ((0.3, 0.0), (0.1, 0.0), (1.5, 0.0), (2.0, 0.1), (2.5, 0.2))[severity - 1]
    value, low = x.amax(1, keepdim=True), x.amin(1, keepdim=True)
    saturation = (value - low) / value.clamp(min=1e-8)
    scale = (saturation * factor + more).clamp(0.0, 1.0) / saturation.clamp(min=1e-8)
    return torch.where(saturation > 0, value - (value - x) * scale, x)


def pixelate(x: Tensor, severity: int, generator: torch.Generator) -> Tensor:
    """Shrink by a factor and grow back, by averages."""
    factor = (0.95, 0.9, 0.85, 0.75, 0.65)[severity - 1]
    h, w = x.shape[-2:]
    small = F.interpolate(x, (max(1, int(h * factor)), max(1, int(w * factor))), mode="area")
    return F.interpolate(small, (h, w), mode="area")


def jpeg(x: Tensor, severity: int, generator: torch.Generator) -> Tensor:
    """Compress with this quality, through Pillow."""
    from PIL import Image

    quality = (80, 65, 58, 50, 40)[severity - 1]
    pixels = (x * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    found = []
    for image in pixels:
        file = io.BytesIO()
        Image.fromarray(image.squeeze(2) if image.shape[2] == 1 else image).save(file, "JPEG", quality=quality)
        found.append(np.asarray(Image.open(file)).reshape(image.shape))
    return torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2).float() / 255


CORRUPTIONS: dict[str, Corruption] = {
    "gaussian-noise": gaussian_noise,
    "shot-noise": shot_noise,
    "impulse-noise": impulse_noise,
    "gaussian-blur": gaussian_blur,
    "motion-blur": motion_blur,
    "brightness": brightness,
    "contrast": contrast,
    "saturate": saturate,
    "pixelate": pixelate,
    "jpeg": jpeg,
}


def check_severity(severity: int) -> None:
    """Raise unless it is one of the five."""
    if severity not in SEVERITIES:
        raise LetheError(f"severity must be 1, 2, 3, 4 or 5, got {severity}.")


@dataclass(frozen=True)
class MadeCorruptions:
    """Corruptions of any image set, of five severities, made from a seed.

    Strengths are those of CIFAR-10-C's script (Hendrycks and Dietterich, ICLR 2019; ``make_cifar_c.py``), lengths in
    pixels, but the operations are torchvision's or written here, motion blur's lengths are our own, and seven of the
    official fifteen are missing: **accuracies are not comparable with CIFAR-10-C's.**

    Attributes:
        data: the clean images, of one or three channels; a corruption is computed on the CPU.
        seed: of all draws. An image's draws depend on its place in the set, not on how many follow.
    """

    data: ImageSet
    seed: int = 0

    def __post_init__(self) -> None:
        check_seed("seed", self.seed)
        if self.data.shape[0] not in (1, 3):
            raise LetheError(
                f"corruptions are of grey or RGB images, these have {self.data.shape[0]} channels: leave them out."
            )

    @property
    def key(self) -> str:
        """Made ones."""
        return "corruptions"

    @property
    def source(self) -> str:
        """What they are."""
        return "made by lethe, not comparable with CIFAR-10-C"

    @property
    def names(self) -> tuple[str, ...]:
        """All but ``saturate`` on grey images."""
        grey = self.data.shape[0] == 1
        return tuple(name for name in CORRUPTIONS if not (grey and name == "saturate"))

    def images(self, name: str, severity: int) -> ImageSet:
        """The images under one corruption, float32 in [0, 1], on the data's device."""
        one_of("corruption", name, self.names)
        check_severity(severity)
        words = np.random.SeedSequence((self.seed, list(CORRUPTIONS).index(name), severity)).generate_state(
            1, np.uint64
        )
        generator = torch.Generator().manual_seed(int(words[0] >> 1))
        done = []
        for several, _ in batches(self.data, BLOCK):
            for x in torch.split(several.cpu(), BLOCK):  # a last image alone comes with the block before
                whole = F.pad(x, (0, 0, 0, 0, 0, 0, 0, BLOCK - len(x)))
                done.append(CORRUPTIONS[name](whole, severity, generator)[: len(x)].clamp(0.0, 1.0))
        return ImageSet(torch.cat(done).to(self.data.labels.device), self.data.labels, self.data.classes)
