"""Projected gradient descent: one core, made of a loss, a constraint and a start."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TypeAlias
from weakref import ReferenceType

import torch
from torch import Tensor, nn

from lethe._batch_statistics import frozen_batch_statistics
from lethe._check import LetheError, at_least, non_negative, one_of
from lethe._guard import evaluation_mode
from lethe._rows import Source
from lethe.attacks._constraints import CONSTRAINTS, check_radius, per_image, small_normal
from lethe.attacks._losses import LOSSES

Forward: TypeAlias = Callable[[Tensor], Tensor]
_compiled: list[tuple[ReferenceType[nn.Module], Forward]] = []
"""The last network that was compiled, and no other: a compiled network holds its weights."""


@dataclass(frozen=True)
class PGD:
    """Projected gradient descent (Madry et al., ICLR 2018): raise the loss within a ball around each image.

    An instance is its own configuration; calling it attacks::

        x_adv = PGD(epsilon=8 / 255, step_size=2 / 255, steps=10)(model, x, y, generator=generator)

    The attack leaves no trace: the network is attacked in evaluation mode and each module's mode put back, also
    after an error; batch norm's running statistics stay; gradients of parameters are neither computed nor allocated, so
    a step costs 2F, not 3F. ``kl`` costs one F more for the clean images; several restarts one F each, to compare them.

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
    """Start from a random point, not from the image."""
    loss: str = "ce"
    """What is raised: ce (cross-entropy), margin (Carlini and Wagner's), dlr (AutoAttack's) or kl (TRADES')."""
    initial: str = "uniform"
    """Which random point: uniform in the ball, or normal: N(0, 0.001²) a pixel, as TRADES and MART start."""
    restarts: int = 1
    """Attacks of each image; the one that fools the network, or else has the highest loss, counts."""
    step_rule: str = "constant"
    """Steps of the same length (constant), or falling to 0 (linear)."""
    early_stop: bool = False
    """Of the attack, not of training: leave an image where it first fools the network, and attack only the others on,
    which costs a fraction, but on a GPU each step waits for the host; with attack_mode train, and with compile, all are
    attacked on at the full cost."""
    targeted: bool = False
    """The labels given are classes to be reached."""
    attack_mode: str = "eval"
    """The network's mode: eval, or train: as it is, batch norm working with the batch, its running statistics kept."""
    bf16: bool = False
    """The attack alone under bfloat16 autocast; for a whole run there is its precision."""
    channels_last: bool = False
    """Hand the network images in channels-last layout, which makes convolutions faster on many devices; in a run of
    lethe train the weights are stored so, too, where that is safe (see lethe.models.channels_last)."""
    compile: bool = False
    """Compile the network once with torch.compile."""

    def __post_init__(self) -> None:
        check_radius(self.norm, self.epsilon)
        non_negative("step_size", self.step_size)
        at_least("steps", self.steps, 0)
        at_least("restarts", self.restarts, 1)
        one_of("loss", self.loss, LOSSES)
        one_of("initial", self.initial, ("uniform", "normal"))
        one_of("step_rule", self.step_rule, ("constant", "linear"))
        one_of("attack_mode", self.attack_mode, ("eval", "train"))
        if self.restarts > 1 and not self.random_start:
            raise LetheError("restarts without a random start repeat the same attack: leave random_start on.")
        if self.loss == "kl" and not self.random_start:
            raise LetheError("the kl loss has no gradient at the clean image: leave random_start on.")
        if self.targeted and self.loss in ("kl", "dlr"):
            # kl knows no labels; a lower dlr of the target may as well be a larger spread of the others.
            raise LetheError(f"the {self.loss} loss cannot be targeted: use ce or margin.")

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor, generator: Source = None) -> Tensor:
        """Attack a batch.

        Args:
            model: from images (B, C, H, W) in [0, 1] to logits (B, K); normalisation lives inside it.
            x: images in [0, 1], floating point.
            y: labels, (B,); with ``targeted`` the classes to reach.
            generator: source of the random start; None is torch's global one. Rows of a larger batch draw what that
                would have drawn for them (:class:`lethe._rows.Rows`).

        Returns:
            Images in [0, 1], within ``epsilon`` of ``x``, detached; the last iterate, whether or not it fools
            the network.

        Raises:
            LetheError: ``x`` is not floating point, or has values outside [0, 1].
        """
        if torch.is_inference_mode_enabled() or x.is_inference():  # in which there are no gradients
            with torch.inference_mode(False):
                return self(model, x.clone(), y.clone(), generator)
        check_images(x)
        x = x.detach()
        loss = LOSSES[self.loss]
        with self._at(model, x), torch.enable_grad():
            forward = self._forward(model)
            target = y
            if loss.of_clean:
                with torch.no_grad():
                    target = forward(x).log_softmax(1)
            best, best_score = x, x.new_zeros(())
            for restart in range(self.restarts):
                found = self._climb(forward, self._start(x, generator), x, y, target)
                if self.restarts == 1:
                    return _laid_out_as(x, found)
                with torch.no_grad():
                    logits = forward(found)
                    score = self._sign() * loss.value(logits, target)
                    # Fooling counts more than any loss: losses are squeezed into (0, 1).
                    score = self._fooled(logits, y) + score.sigmoid()
                better = torch.ones_like(score, dtype=torch.bool) if restart == 0 else score > best_score
                best = torch.where(per_image(better, x), found, best)
                best_score = score if restart == 0 else torch.maximum(score, best_score)
        return _laid_out_as(x, best)

    def _climb(self, forward: Forward, start: Tensor, x: Tensor, y: Tensor, target: Tensor) -> Tensor:
        if self.early_stop and self.attack_mode == "eval" and not self.compile:
            return self._climb_while_right(forward, start, x, y, target)
        adversarial = start
        for step in range(self.steps):
            here = adversarial
            adversarial, logits = self._step(forward, here, x, target, step)
            if self.early_stop:
                adversarial = torch.where(per_image(self._fooled(logits, y), x), here, adversarial)
        return adversarial

    def _climb_while_right(self, forward: Forward, start: Tensor, x: Tensor, y: Tensor, target: Tensor) -> Tensor:
        """Early stop where no image depends on the others: those that fool the network leave the batch."""
        found, here = start.clone(), start
        left = torch.arange(len(x), device=x.device)
        for step in range(self.steps):
            moved, logits = self._step(forward, here, x[left], target[left], step)
            fooled = self._fooled(logits, y[left])
            here = torch.where(per_image(fooled, x), here, moved)
            found[left] = here
            # One always goes on: where weights lie on several processes, each must call the network equally often.
            going_on = (~fooled).nonzero().squeeze(1)
            if len(going_on) == 0:
                going_on = torch.zeros_like(left[:1])
            left, here = left[going_on], here[going_on]
        return found

    def _step(self, forward: Forward, here: Tensor, x: Tensor, target: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Where a step leads, detached, and the logits it began with."""
        constraint, loss = CONSTRAINTS[self.norm], LOSSES[self.loss]
        here = here.detach().requires_grad_()
        # FLOP counters cannot see through an input that is a leaf; the compiler wants one.
        logits = forward(here if self.compile else here.view_as(here))
        (gradient,) = torch.autograd.grad(self._sign() * loss.value(logits, target).sum(), here)
        length = self.step_size * (1.0 if self.step_rule == "constant" else 1.0 - step / self.steps)
        moved = here.detach() + constraint.step(gradient, length)
        return (x + constraint.project(moved - x, self.epsilon)).clamp_(0.0, 1.0), logits.detach()

    def _start(self, x: Tensor, generator: Source) -> Tensor:
        if not self.random_start or self.epsilon == 0:
            return x
        draw = small_normal if self.initial == "normal" else CONSTRAINTS[self.norm].random_start
        delta = CONSTRAINTS[self.norm].project(draw(x, self.epsilon, generator), self.epsilon)
        return (x + delta).clamp_(0.0, 1.0)

    def _sign(self) -> float:
        return -1.0 if self.targeted else 1.0

    def _fooled(self, logits: Tensor, y: Tensor) -> Tensor:
        """Where the attack has what it wants."""
        hit = logits.argmax(1) == y
        return hit if self.targeted else ~hit

    @contextmanager
    def _at(self, model: nn.Module, x: Tensor) -> Iterator[None]:
        """The network as it is attacked; afterwards it is as it was."""
        mode = evaluation_mode(model) if self.attack_mode == "eval" else frozen_batch_statistics([model])
        precision = torch.autocast(x.device.type, torch.bfloat16) if self.bf16 else nullcontext()
        with mode, precision:
            yield

    def _forward(self, model: nn.Module) -> Forward:
        """From images to logits in fp32 at least."""
        network: Forward = model
        if self.compile:
            if not _compiled or _compiled[0][0]() is not model:
                _compiled[:] = [(ReferenceType(model), torch.compile(model))]
            network = _compiled[0][1]

        def forward(images: Tensor) -> Tensor:
            if self.channels_last:
                images = images.contiguous(memory_format=torch.channels_last)
            logits = network(images)
            return logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits

        return forward


def _laid_out_as(x: Tensor, found: Tensor) -> Tensor:
    """The images with the strides of ``x``: an attack must not decide which kernels the training pass takes."""
    return found if found.stride() == x.stride() else torch.empty_like(x).copy_(found)


def check_images(x: Tensor) -> None:
    """Raise for images that are not floating point, or, on the CPU, not in [0, 1]."""
    if not x.is_floating_point():
        raise LetheError(f"an attack needs floating-point images in [0, 1], got {x.dtype}: divide by 255 first.")
    # Looked at on the CPU only: elsewhere it would make the host wait for the device at every attack.
    if x.device.type == "cpu" and x.numel() and not (x.min() >= 0 and x.max() <= 1):
        raise LetheError(
            f"an attack needs images in [0, 1], got values from {float(x.min()):.3g} to {float(x.max()):.3g}: put the "
            "normalisation into the model (lethe.models.Normalize)."
        )
