"""The papers' methods, each made of the parts: forgetting, consolidating, perturbing."""

from lethe.methods._averaging import EMA, SWA, EMAConfig, SWAConfig
from lethe.methods._fomo import FOMO
from lethe.methods._fomo_config import PAPER, FOMOConfig
from lethe.methods._lure import LURE, LUREConfig

__all__ = ["EMA", "FOMO", "LURE", "PAPER", "SWA", "EMAConfig", "FOMOConfig", "LUREConfig", "SWAConfig"]
