"""Any network of the library timm, by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lethe._check import LetheError, nearest
from lethe.models._normalize import Normalize

PREFIX = "timm:"
WRONG_SIZE = (RuntimeError, AssertionError, ValueError, TypeError, IndexError, ArithmeticError)
"""What timm's networks raise where options or images do not fit them."""


def check_timm_name(name: str) -> None:
    """Refuse a name that timm does not have.

    Args:
        name: without the prefix ``timm:``.

    Raises:
        LetheError: timm is not installed, has no such network, or the name asks for pretrained weights.
    """
    timm = _timm(name)
    if timm.is_model(name) and "." not in name:
        return
    if timm.is_model(name):
        raise LetheError(
            f"{PREFIX + name!r} names pretrained weights, which are not loaded: write {PREFIX + name.split('.')[0]}."
        )
    raise LetheError(f"timm has no network {name!r}.{nearest(name, timm.list_models())} timm.list_models() has all.")


class TimmNetwork(nn.Module):
    """A network of timm behind a normalisation, with newly drawn weights: pretrained ones are never loaded.

    Args:
        name: timm's, ``vit_tiny_patch16_224`` say.
        classes: number of classes K.
        mean: of each channel of the data, of images in [0, 1]; its length is the number of input channels.
        std: likewise.
        drop: timm's ``drop_rate``, for most networks dropout before the head.
        image_size: side of the images in pixels, for networks that are built for one size (ViT, Swin, Mixer); None:
            these are built for the size that timm gives them.

    Shapes: images (B, C, H, W) in [0, 1] to logits (B, K).

    Raises:
        LetheError: as :func:`check_timm_name`, or the network cannot be built so, or cannot take images of this size.
    """

    def __init__(
        self,
        name: str,
        classes: int,
        mean: Sequence[float],
        std: Sequence[float],
        drop: float = 0.0,
        image_size: int | None = None,
    ) -> None:
        super().__init__()
        check_timm_name(name)
        self.normalize = Normalize(mean, std)
        options: dict[str, Any] = {"num_classes": classes, "in_chans": len(mean)}
        if drop:
            options["drop_rate"] = drop
        self.network = _create(name, options, image_size)
        if image_size is not None:
            self._try_out(name, (1, len(mean), image_size, image_size), classes)

    def _try_out(self, name: str, shape: tuple[int, ...], classes: int) -> None:
        training = self.network.training
        try:
            with torch.no_grad():
                logits = self.network.eval()(torch.zeros(shape))
        except WRONG_SIZE as error:
            size = "x".join(map(str, shape[1:]))
            reason = str(error).partition("\n")[0]
            raise LetheError(
                f"timm's {name} cannot take images of {size} ({reason}): choose another --model or --image-size."
            ) from error
        self.network.train(training)
        if not isinstance(logits, Tensor) or logits.shape != (1, classes):
            raise LetheError(f"timm's {name} gives no logits of {classes} classes: choose another --model.")

    def forward(self, x: Tensor) -> Tensor:
        """Images to logits."""
        logits: Tensor = self.network(self.normalize(x))
        return logits


def _create(name: str, options: dict[str, Any], image_size: int | None) -> nn.Module:
    """The network, told the size of its images if it wants to know."""
    timm = _timm(name)
    try:
        if image_size is not None:
            try:
                network: nn.Module = timm.create_model(name, pretrained=False, img_size=image_size, **options)
            except TypeError as error:
                if "img_size" not in str(error):
                    raise
            else:
                return network
        network = timm.create_model(name, pretrained=False, **options)
    except WRONG_SIZE as error:
        size = "" if image_size is None else f" for images of {image_size}x{image_size}"
        reason = str(error).partition("\n")[0]
        raise LetheError(f"timm's {name} cannot be built{size} ({reason}): choose another --model.") from error
    return network


def _timm(name: str) -> Any:
    try:
        import timm  # the library alone does without it
    except ImportError as error:
        raise LetheError(f"{PREFIX + name!r} needs the library timm: pip install timm.") from error
    return timm
