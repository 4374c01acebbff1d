"""The augmentation of ImageNet: a random part of each image at a random aspect ratio, enlarged, perhaps mirrored."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, cast

import torch
from torch import Tensor


class RandomResizedCrop:
    """A part of 8 to 100 % of the image's area, of a ratio from 3/4 to 4/3, resized, and mirrored in half of the cases.

    After Szegedy et al., "Going deeper with convolutions" (CVPR 2015), with torchvision's defaults, as in its and most
    ImageNet scripts. Every image has a seed of its own, drawn from the generator, so that it comes out the same
    wherever it is made. Called on a batch, as any augmentation, it crops from the images in memory. Images that are
    streamed from files (:class:`~lethe.data.StreamedSet`) are cropped from the whole file, before it is made small,
    in the process that decodes it: :meth:`of_one`.
    """

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Images (B, C, H, W) in [0, 1] to images of the same shape."""
        seeds = self.seeds(len(x), generator)
        size = (x.shape[-2], x.shape[-1])
        cropped = [self.of_one(image, size, seed) for image, seed in zip(x, seeds, strict=True)]
        return torch.stack([cast("Tensor", image) for image in cropped]).clamp(0.0, 1.0)

    def seeds(self, count: int, generator: torch.Generator) -> list[int]:
        """Draw one seed an image."""
        return torch.randint(2**62, (count,), generator=generator, device=generator.device).tolist()

    def of_one(self, image: Any, size: tuple[int, int], seed: int) -> Any:
        """One image, a tensor (C, H, W) or one of Pillow's, cropped and resized to ``size``, height and width.

        torchvision draws from torch's global generator, which is seeded here and put back afterwards.
        """
        before = torch.get_rng_state()
        try:
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the GPU's as well
            return _transform(size)(image)
        finally:
            torch.set_rng_state(before)


@lru_cache(maxsize=8)
def _transform(size: tuple[int, int]) -> Callable[[Any], Any]:
    from torchvision.transforms import v2

    made: Callable[[Any], Any] = v2.Compose(
        [v2.RandomResizedCrop(size, scale=(0.08, 1.0), ratio=(3 / 4, 4 / 3), antialias=True), v2.RandomHorizontalFlip()]
    )
    return made
