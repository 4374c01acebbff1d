"""Signs that a robust accuracy is not to be believed, as experts look for them."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lethe._guard import evaluation_mode
from lethe.data import ImageSet, batches
from lethe.evaluate._accuracy import accuracy
from lethe.evaluate._named_attacks import Threat, title
from lethe.evaluate._which_images import which_images

LARGE = {"linf": 0.5, "l2": 10.0}
"""Balls in which any image can become any other, nearly: no classifier is robust there."""


def signs_in_the_network(model: nn.Module, data: ImageSet, threat: Threat, *, seed: int = 0) -> list[str]:
    """Look at the network itself, on at most 200 images that it classifies right.

    Is it deterministic? Does its cross-entropy have a gradient? Does PGD-50 in a very large ball fool it always?
    (Athalye et al., ICML 2018; Carlini et al., arXiv 1902.06705.)
    """
    found = []
    some = data.subset(which_images(data.labels, min(len(data), 1000)))
    predicted = _predictions(model, some)
    right = (predicted == some.labels).nonzero().squeeze(1)[:200]
    if len(right) == 0:
        return ["the network classifies no image right, so nothing can be said of its gradients"]
    part = some.subset(right)
    x, y = next(batches(part, len(part)))
    with evaluation_mode(model):
        with torch.no_grad():
            first, second = model(x), model(x)
        if not torch.allclose(first, second, rtol=1e-4, atol=1e-5):
            found.append("the network is not deterministic: use autoattack-rand, and average attacks over its draws")
        clone = x.clone().requires_grad_()
        with torch.enable_grad():
            loss = F.cross_entropy(model(clone), y, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, clone)
    sizes = gradient.flatten(1).abs().amax(1)
    for what, images in (("no gradient", sizes == 0), ("a gradient that is not finite", ~sizes.isfinite())):
        if bool(images.any()):
            share = float(images.float().mean())
            found.append(f"the loss has {what} at {share:.0%} of the images: gradients are masked")
    if bool((predicted == predicted[0]).all()) and bool((some.labels != some.labels[0]).any()):
        found.append(f"the network predicts class {int(predicted[0])} for every image, which no attack can change")
        return found
    large = Threat(threat.norm, LARGE[threat.norm])
    left = accuracy(model, part, attack=large.pgd(50), seed=seed)
    if left > 0.05:
        found.append(
            f"PGD-50 leaves {left:.0%} accuracy at epsilon {large.epsilon}, where nothing can be robust: gradients are "
            "masked"
        )
    return found


def signs_in_the_verdicts(right: Mapping[str, Tensor], threat: Threat | None = None) -> list[str]:
    """Compare attacks: one step must not beat many, nor a black box or another network's images the white box.

    Args:
        right: by name of the attack, which images are classified right, (N,).
        threat: the ball, which the many steps have to be able to cross; None: of steps as long as a quarter of it.
    """
    found: list[str] = []
    threat = Threat() if threat is None else threat
    share = {name: float(flags.float().mean()) for name, flags in right.items()}
    steps = {name: int(at[2]) for name in right if (at := re.fullmatch(r"(pgd|cw)-(\d+)", name))}
    white = [name for name, number in steps.items() if number * threat.step >= 2 * threat.epsilon]
    strongest = min(white, key=lambda name: share[name], default="clean")
    many = max(white, key=lambda name: steps[name], default="clean")
    if white and "fgsm" in right and share["fgsm"] < share[many] - 0.005:
        found.append(
            f"one step is stronger than many: FGSM leaves {share['fgsm']:.1%}, {title(many)} {share[many]:.1%}: "
            "gradients are masked"
        )
    for name, what in (("square", "the black-box attack Square"), ("transfer", "another network's images")):
        if white and name in right and share[name] < share[strongest] - 0.005:
            found.append(
                f"{what} is stronger than the white box: {share[name]:.1%} against {share[strongest]:.1%} under "
                f"{title(strongest)}: gradients are masked"
            )
    before = right.get("autoattack:fab-t")
    if before is not None and "autoattack" in right:
        gain = float(before.float().mean()) - share["autoattack"]
        if gain > 0.002:  # the package's own bound, which it checks only where it runs the whole ensemble in one call
            found.append(f"Square fools {gain:.1%} more after AutoAttack's other attacks: gradients may be masked")
    return found


def _predictions(model: nn.Module, data: ImageSet) -> Tensor:
    with evaluation_mode(model), torch.no_grad():
        return torch.cat([model(x).argmax(1) for x, _ in batches(data, 250)])
