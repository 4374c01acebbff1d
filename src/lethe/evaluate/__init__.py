"""How good a network is: clean and robust accuracy, calibration, and signs that the numbers are not to be believed."""

from lethe.evaluate._accuracy import accuracy
from lethe.evaluate._autoattack import autoattack_stage
from lethe.evaluate._calibration import calibration_error
from lethe.evaluate._config import EvaluationConfig
from lethe.evaluate._evaluation import Evaluation, OnProgress, evaluate
from lethe.evaluate._masking import signs_in_the_network, signs_in_the_verdicts
from lethe.evaluate._named_attacks import Threat, batch_attack, title

__all__ = [
    "Evaluation",
    "EvaluationConfig",
    "OnProgress",
    "Threat",
    "accuracy",
    "autoattack_stage",
    "batch_attack",
    "calibration_error",
    "evaluate",
    "signs_in_the_network",
    "signs_in_the_verdicts",
    "title",
]
