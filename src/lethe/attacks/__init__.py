"""Adversarial examples: one projected gradient descent made of a loss, a constraint and an initialiser."""

from lethe.attacks._pgd import PGD

__all__ = ["PGD"]
