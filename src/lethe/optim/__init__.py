"""Perturb the weights, take the gradient there, come back exactly: two-pass optimizers."""

from lethe.optim._amp import AMP, AMPConfig, AMPUnderAttackConfig
from lethe.optim._awp import AWP, RWP, AWPConfig, RWPConfig
from lethe.optim._registry import RULES, Rule
from lethe.optim._rmp import RMP, RMPConfig
from lethe.optim._sam import SAM, SAMConfig
from lethe.optim._sgd import SGDConfig
from lethe.optim._step_options import StepOptions
from lethe.optim._two_pass import TwoPassOptimizer

__all__ = [
    "AMP",
    "AWP",
    "RMP",
    "RULES",
    "RWP",
    "SAM",
    "AMPConfig",
    "AMPUnderAttackConfig",
    "AWPConfig",
    "RMPConfig",
    "RWPConfig",
    "Rule",
    "SAMConfig",
    "SGDConfig",
    "StepOptions",
    "TwoPassOptimizer",
]
