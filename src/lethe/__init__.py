"""Lethe: classifiers that keep generalising, and stay robust, by acting on their weights.

*Perturb* them (:class:`AMP`), *forget* some (:mod:`lethe.forget`, :class:`FOMO`), *consolidate* the rest
(:mod:`lethe.consolidate`). This namespace needs torch and numpy alone; the command line needs the extra ``train``.
"""

from lethe import anytime, attacks, consolidate, forget, methods, optim
from lethe._check import LetheError
from lethe.methods import FOMO, LURE
from lethe.optim import AMP, AWP, RMP, RWP, SAM

__version__ = "0.1.0"

__all__ = [
    "AMP",
    "AWP",
    "FOMO",
    "LURE",
    "RMP",
    "RWP",
    "SAM",
    "LetheError",
    "anytime",
    "attacks",
    "consolidate",
    "forget",
    "methods",
    "optim",
]
