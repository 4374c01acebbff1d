"""Adversarial examples: one projected gradient descent made of a loss, a constraint and a start; and C&W's l2."""

from lethe.attacks._carlini_wagner import CarliniWagnerL2
from lethe.attacks._named import cw_linf, fgsm, fgsm_rs
from lethe.attacks._pgd import PGD

__all__ = ["PGD", "CarliniWagnerL2", "cw_linf", "fgsm", "fgsm_rs"]
