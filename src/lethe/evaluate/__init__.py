"""How good a network is: clean and robust accuracy."""

from lethe.evaluate._accuracy import accuracy
from lethe.evaluate._config import EvaluationConfig

__all__ = ["EvaluationConfig", "accuracy"]
