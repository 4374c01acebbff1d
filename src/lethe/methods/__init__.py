"""The papers' methods, each made of the parts: forgetting, consolidating, perturbing."""

from lethe.methods._averaging import EMA, SWA, EMAConfig, SWAConfig
from lethe.methods._fomo import FOMO
from lethe.methods._fomo_config import PAPER, FOMOConfig
from lethe.methods._lure import LURE, LUREConfig
from lethe.methods._no_method import NoMethod
from lethe.methods._rivals import (
    ForgettableConfig,
    LLFConfig,
    RandomForgettingConfig,
    ScratchConfig,
    ShrinkPerturbConfig,
    forget_last_layer,
)

__all__ = [
    "EMA",
    "FOMO",
    "LURE",
    "PAPER",
    "SWA",
    "EMAConfig",
    "FOMOConfig",
    "ForgettableConfig",
    "LLFConfig",
    "LUREConfig",
    "NoMethod",
    "RandomForgettingConfig",
    "SWAConfig",
    "ScratchConfig",
    "ShrinkPerturbConfig",
    "forget_last_layer",
]
