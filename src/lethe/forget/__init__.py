"""Choose weights to forget, and re-draw them.

A mask is ``{parameter name: bool tensor}``, True = forget. ``select`` says which parameters may be chosen at all.
"""

from lethe.forget._criteria import CRITERIA, Criterion, Wanted
from lethe.forget._dormant import dormant_mask
from lethe.forget._fisher import fisher_mask
from lethe.forget._gradient import gradient_mask
from lethe.forget._magnitude import magnitude_mask
from lethe.forget._random import random_mask
from lethe.forget._reinitialize import Forgotten, reinitialize, shrink_and_perturb
from lethe.forget._schedule import ForgettingSchedule
from lethe.forget._select import (
    Select,
    Selector,
    everything,
    from_layer,
    last_layer,
    later_layers,
    named,
    of_type,
    weights,
)
from lethe.forget._snip import snip_mask
from lethe.forget._whole import llf_mask, rifle_mask, whole_mask

__all__ = [
    "CRITERIA",
    "Criterion",
    "ForgettingSchedule",
    "Forgotten",
    "Select",
    "Selector",
    "Wanted",
    "dormant_mask",
    "everything",
    "fisher_mask",
    "from_layer",
    "gradient_mask",
    "last_layer",
    "later_layers",
    "llf_mask",
    "magnitude_mask",
    "named",
    "of_type",
    "random_mask",
    "reinitialize",
    "rifle_mask",
    "shrink_and_perturb",
    "snip_mask",
    "weights",
    "whole_mask",
]
