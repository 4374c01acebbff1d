"""The set an attack may move in: a ball around each image, cut by the range [0, 1] of images.

Each constraint knows three things: how to draw a random start, how to turn a gradient into a step of a given
length, and how to project back into the ball.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from lethe._check import LetheError, non_negative, one_of
from lethe._rows import Source, draw


class Constraint(Protocol):
    """A ball of a norm; tensors are (B, C, H, W) and every image has its own ball."""

    def random_start(self, x: Tensor, epsilon: float, generator: Source) -> Tensor:
        """A perturbation drawn from the ball."""
        ...

    def step(self, gradient: Tensor, step_size: float) -> Tensor:
        """The steepest ascent of length ``step_size`` in this norm."""
        ...

    def project(self, delta: Tensor, epsilon: float) -> Tensor:
        """The nearest perturbation in the ball."""
        ...


def per_image(values: Tensor, like: Tensor) -> Tensor:
    """A value an image, shaped to act on images."""
    return values.view(-1, *[1] * (like.dim() - 1))


class Linf:
    """The l∞ ball: no pixel moves by more than epsilon."""

    def random_start(self, x: Tensor, epsilon: float, generator: Source) -> Tensor:
        """Uniform in the ball."""
        return (2 * draw(x.shape, generator, x) - 1) * epsilon

    def step(self, gradient: Tensor, step_size: float) -> Tensor:
        """The sign of the gradient, scaled."""
        return gradient.sign() * step_size

    def project(self, delta: Tensor, epsilon: float) -> Tensor:
        """Clamp each pixel."""
        return delta.clamp(-epsilon, epsilon)


class L2:
    """The l2 ball: the perturbation of an image is no longer than epsilon."""

    def random_start(self, x: Tensor, epsilon: float, generator: Source) -> Tensor:
        """Uniform in the ball: a random direction, and a radius whose n-th power is uniform."""
        direction = self.step(draw(x.shape, generator, x, normal=True), 1.0)
        radius = draw(x.shape[:1], generator, x) ** (1.0 / x[0].numel())
        return direction * per_image(radius, x) * epsilon

    def step(self, gradient: Tensor, step_size: float) -> Tensor:
        """The gradient of each image, scaled to the length; an image without gradient stays."""
        gradient = gradient.nan_to_num(0.0, 0.0, 0.0)  # as the sign of nan is 0, too
        return (gradient * per_image(step_size / _lengths(gradient).clamp_min(1e-12), gradient)).to(gradient.dtype)

    def project(self, delta: Tensor, epsilon: float) -> Tensor:
        """Shorten what is too long."""
        return (delta * per_image((epsilon / _lengths(delta).clamp_min(1e-12)).clamp(max=1.0), delta)).to(delta.dtype)


def _lengths(images: Tensor) -> Tensor:
    wide = torch.promote_types(images.dtype, torch.float32)  # in fp16, 1e-12 would be 0
    lengths: Tensor = torch.linalg.vector_norm(images.flatten(1), dim=1, dtype=wide)
    return lengths


def small_normal(x: Tensor, epsilon: float, generator: Source) -> Tensor:
    """A perturbation from N(0, 0.001²) a pixel, whatever epsilon is, as TRADES' and MART's code has it."""
    return 0.001 * draw(x.shape, generator, x, normal=True)


CONSTRAINTS: dict[str, Constraint] = {"linf": Linf(), "l2": L2()}


def check_radius(norm: str, epsilon: float) -> None:
    """Raise where there is no such ball, or one so large that grey levels must have been meant.

    Raises:
        LetheError: an unknown norm, or a radius that is no number of at least 0, or above 1 in l∞.
    """
    one_of("norm", norm, CONSTRAINTS)
    non_negative("epsilon", epsilon)
    if norm == "linf" and epsilon > 1:
        raise LetheError(f"epsilon is in the unit of images in [0, 1], got {epsilon}: for 8 grey levels write 8/255.")
