"""Carlini and Wagner's l2 attack: the shortest perturbation that fools."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lethe._check import at_least, non_negative, positive
from lethe._guard import evaluation_mode
from lethe.attacks._losses import margin
from lethe.attacks._pgd import check_images


@dataclass(frozen=True)
class CarliniWagnerL2:
    """Minimise ``‖δ‖² + c · max(-margin, -confidence)`` over images ``(tanh(w) + 1) / 2``, by Adam.

    Carlini and Wagner, S&P 2017 (arXiv 1608.04644, section VI.A). ``c`` is found for each image by binary search. There
    is no random number in it. As every attack here it leaves no trace in the network, and costs 2F a step.
    """

    steps: int = 200
    """Of Adam, for each c."""
    searches: int = 9
    """Values of c tried for each image."""
    learning_rate: float = 0.01
    """Of Adam."""
    initial_c: float = 0.001
    """The first c; while no perturbation fools it is raised tenfold."""
    confidence: float = 0.0
    """By how much the margin has to exceed 0."""

    def __post_init__(self) -> None:
        at_least("steps", self.steps, 1)
        at_least("searches", self.searches, 1)
        non_negative("confidence", self.confidence)
        for name in ("learning_rate", "initial_c"):
            positive(name, getattr(self, name))

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Attack a batch.

        Args:
            model: from images (B, C, H, W) in [0, 1] to logits (B, K).
            x: images in [0, 1], floating point.
            y: labels, (B,).
            generator: not used; attacks are called alike.

        Returns:
            The nearest image found that fools the network; the image itself where none was found.
        """
        if torch.is_inference_mode_enabled() or x.is_inference():  # in which there are no gradients
            with torch.inference_mode(False):
                return self(model, x.clone(), y.clone(), generator)
        check_images(x)
        half, x = x, x.detach()
        if x.dtype in (torch.float16, torch.bfloat16):  # in which 1 - 1e-6 is 1, and its atanh infinite
            x = x.float()
        many = [1] * (x.ndim - 1)
        c = torch.full((len(x),), self.initial_c, dtype=x.dtype, device=x.device)
        low, high = torch.zeros_like(c), torch.full_like(c, float("inf"))
        best, best_distance = x.clone(), torch.full_like(c, float("inf"))
        inside = (x * 2 - 1).clamp(-1 + 1e-6, 1 - 1e-6).atanh()  # at 0 and 1 the tanh would never move
        with evaluation_mode(model), torch.enable_grad():
            for _ in range(self.searches):
                w = inside.clone().requires_grad_()
                adam = torch.optim.Adam([w], lr=self.learning_rate)
                fooled_by_c = torch.zeros_like(c, dtype=torch.bool)
                for _ in range(self.steps):
                    candidate = (w.tanh() + 1) / 2
                    distance = (candidate - x).square().flatten(1).sum(1)
                    gap = margin(model(candidate.to(half.dtype)).to(x.dtype), y)
                    objective = distance + c * (-gap).clamp_min(-self.confidence)
                    (w.grad,) = torch.autograd.grad(objective.sum(), w)
                    with torch.no_grad():
                        fooled = gap > self.confidence
                        better = fooled & (distance < best_distance)
                        best = torch.where(better.view(-1, *many), candidate.detach(), best)
                        best_distance = torch.where(better, distance.detach(), best_distance)
                        fooled_by_c |= fooled
                    adam.step()
                low = torch.where(fooled_by_c, low, c)
                high = torch.where(fooled_by_c, c, high)
                c = torch.where(high.isinf(), c * 10, (low + high) / 2)
        return best.to(half.dtype)
