"""Projected gradient descent, the attack of adversarial training."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lethe._check import LetheError, at_least, non_negative, one_of
from lethe._guard import evaluation_mode
from lethe.attacks._constraints import CONSTRAINTS
from lethe.attacks._losses import LOSSES


@dataclass(frozen=True)
class PGD:
    """Projected gradient descent (Madry et al., ICLR 2018): raise the loss within a ball around each image.

    An instance is its own configuration; calling it attacks::

        x_adv = PGD(epsilon=8 / 255, step_size=2 / 255, steps=10)(model, x, y, generator=generator)

    The attack leaves no trace: the network is attacked in evaluation mode and each module's mode put back, also
    after an error; gradients of parameters are neither computed nor allocated, so a step costs 2F, not 3F.

    Where codes differ: the adversarial-training scripts of Rice et al., AWP and RWP attack in train mode, so that
    every attack step moves batch norm's running statistics; TRADES, MART and CURE attack in evaluation mode, as here.
    """

    epsilon: float = 8 / 255
    """Radius of the ball, images being in [0, 1]; fractions as 8/255 are understood."""
    step_size: float = 2 / 255
    """Length of a step, in the unit of epsilon."""
    steps: int = 10
    """Number of steps; each costs a forward and half a backward pass."""
    norm: str = "linf"
    """The ball: linf or l2."""
    random_start: bool = True
    """Start from a random point of the ball, not from the image."""
    loss: str = "ce"
    """What is raised: ce (cross-entropy) or margin (Carlini and Wagner's)."""

    def __post_init__(self) -> None:
        non_negative("epsilon", self.epsilon)
        non_negative("step_size", self.step_size)
        at_least("steps", self.steps, 0)
        one_of("norm", self.norm, CONSTRAINTS)
        if self.norm == "linf" and self.epsilon > 1:
            raise LetheError(
                f"epsilon is in the unit of images in [0, 1], got {self.epsilon}: for 8 grey levels write 8/255."
            )
        one_of("loss", self.loss, LOSSES)

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Attack a batch.

        Args:
            model: from images (B, C, H, W) in [0, 1] to logits (B, K); normalisation lives inside it.
            x: images in [0, 1], floating point.
            y: labels, (B,).
            generator: source of the random start; None is torch's global one.

        Returns:
            Images in [0, 1], within ``epsilon`` of ``x``, detached; the last iterate, whether or not it fools
            the network.

        Raises:
            LetheError: ``x`` is not floating point, or has values outside [0, 1].
        """
        _check_images(x)
        constraint, loss = CONSTRAINTS[self.norm], LOSSES[self.loss]
        x = x.detach()
        adversarial = x
        if self.random_start and self.epsilon > 0:
            adversarial = (x + constraint.random_start(x, self.epsilon, generator)).clamp_(0.0, 1.0)
        with evaluation_mode(model), torch.enable_grad():
            for _ in range(self.steps):
                adversarial = adversarial.detach().requires_grad_()
                # The view keeps the network's input off the graph's leaves, which FLOP counters cannot see through.
                value = loss(model(adversarial.view_as(adversarial)), y).sum()
                (gradient,) = torch.autograd.grad(value, adversarial)
                moved = adversarial.detach() + constraint.step(gradient, self.step_size)
                adversarial = (x + constraint.project(moved - x, self.epsilon)).clamp_(0.0, 1.0)
        return adversarial.detach()


def _check_images(x: Tensor) -> None:
    if not x.is_floating_point():
        raise LetheError(f"an attack needs floating-point images in [0, 1], got {x.dtype}: divide by 255 first.")
    # Looked at on the CPU only: elsewhere it would make the host wait for the device at every attack.
    if x.device.type == "cpu" and x.numel() and not (x.min() >= 0 and x.max() <= 1):
        raise LetheError(
            f"an attack needs images in [0, 1], got values from {float(x.min()):.3g} to {float(x.max()):.3g}: put the "
            "normalisation into the model (lethe.models.Normalize)."
        )
