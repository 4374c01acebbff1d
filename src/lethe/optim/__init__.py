"""Perturb the weights, take the gradient there, come back exactly: two-pass optimizers."""

from lethe.optim._amp import AMP, AMPConfig
from lethe.optim._awp import AWP, RWP
from lethe.optim._registry import RULES, Rule
from lethe.optim._rmp import RMP
from lethe.optim._sam import SAM
from lethe.optim._sgd import SGDConfig
from lethe.optim._two_pass import TwoPassOptimizer

__all__ = ["AMP", "AWP", "RMP", "RULES", "RWP", "SAM", "AMPConfig", "Rule", "SGDConfig", "TwoPassOptimizer"]
