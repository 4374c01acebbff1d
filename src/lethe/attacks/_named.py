"""Attacks by the names of the literature: settings of PGD."""

from __future__ import annotations

from lethe.attacks._pgd import PGD


def fgsm(epsilon: float = 8 / 255, *, targeted: bool = False) -> PGD:
    """The fast gradient sign method (Goodfellow et al., ICLR 2015): one whole step from the image."""
    return PGD(epsilon=epsilon, step_size=epsilon, steps=1, random_start=False, targeted=targeted)


def fgsm_rs(epsilon: float = 8 / 255) -> PGD:
    """FGSM from a random start with a step of 1.25 epsilon, projected (Wong, Rice and Kolter, ICLR 2020)."""
    return PGD(epsilon=epsilon, step_size=1.25 * epsilon, steps=1)


def cw_linf(epsilon: float = 8 / 255, step_size: float = 2 / 255, steps: int = 100) -> PGD:
    """C&W∞ as the robust-overfitting literature runs it: PGD with the margin loss.

    Where codes differ: RWP's stops raising the margin at 10 and sets the right class's logit to 0, not to -∞, when it
    looks for the best wrong one, which is another class where all other logits are negative.
    """
    return PGD(epsilon=epsilon, step_size=step_size, steps=steps, loss="margin")
