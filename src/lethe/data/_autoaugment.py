"""AutoAugment's policies, through torchvision."""

from __future__ import annotations

import torch
from torch import Tensor

POLICIES = {"cifar10": "CIFAR10", "svhn": "SVHN"}


class AutoAugment:
    """A random sub-policy of two operations on each image (Cubuk et al., CVPR 2019).

    torchvision draws from torch's global generator, which is seeded here from the given one and put back afterwards.
    Its operations interpolate by the nearest pixel; AMP's script sheared bicubically.

    Args:
        policy: ``cifar10`` or ``svhn``.
    """

    def __init__(self, policy: str) -> None:
        from torchvision.transforms import v2

        self.transform = v2.AutoAugment(v2.AutoAugmentPolicy[POLICIES[policy]], fill=128)

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Images (B, C, H, W) in [0, 1], worked on as bytes, so results are whole 255ths."""
        seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
        images = (x * 255).round().to(torch.uint8)
        before = torch.get_rng_state()
        try:
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the GPU's as well
            augmented = torch.stack([self.transform(image) for image in images])
        finally:
            torch.set_rng_state(before)
        return augmented.to(x.dtype) / 255
