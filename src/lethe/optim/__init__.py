"""Perturb the weights, take the gradient there, come back exactly: two-pass optimizers."""

from lethe.optim._amp import AMP, AMPConfig
from lethe.optim._sgd import SGDConfig
from lethe.optim._two_pass import TwoPassOptimizer

__all__ = ["AMP", "AMPConfig", "SGDConfig", "TwoPassOptimizer"]
