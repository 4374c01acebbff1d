"""How good a network is: clean and robust accuracy, calibration, and signs that the numbers are not to be believed."""

from lethe.evaluate._accuracy import accuracy
from lethe.evaluate._autoattack import autoattack_stage
from lethe.evaluate._calibration import calibration_error
from lethe.evaluate._config import EvaluationConfig
from lethe.evaluate._corruption_accuracy import mean_corruption_accuracy, measure_corruptions
from lethe.evaluate._corruptions import SEVERITIES, CorruptionSet, MadeCorruptions
from lethe.evaluate._evaluation import OFFICIAL, Evaluation, OnProgress, evaluate
from lethe.evaluate._masking import signs_in_the_network, signs_in_the_verdicts
from lethe.evaluate._named_attacks import Threat, batch_attack, title
from lethe.evaluate._official_corruptions import OfficialCorruptions
from lethe.evaluate._sharpness import (
    Sharpness,
    measure_sharpness,
    picture_of,
    sharpness_of,
    slices,
    worst_loss,
)

__all__ = [
    "OFFICIAL",
    "SEVERITIES",
    "CorruptionSet",
    "Evaluation",
    "EvaluationConfig",
    "MadeCorruptions",
    "OfficialCorruptions",
    "OnProgress",
    "Sharpness",
    "Threat",
    "accuracy",
    "autoattack_stage",
    "batch_attack",
    "calibration_error",
    "evaluate",
    "mean_corruption_accuracy",
    "measure_corruptions",
    "measure_sharpness",
    "picture_of",
    "sharpness_of",
    "signs_in_the_network",
    "signs_in_the_verdicts",
    "slices",
    "title",
    "worst_loss",
]
