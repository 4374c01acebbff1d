"""Choose weights to forget, and re-draw them.

A mask is ``{parameter name: bool tensor}``, True = forget. ``select`` says which parameters may be chosen at all.
"""

from lethe.forget._fisher import fisher_mask
from lethe.forget._magnitude import magnitude_mask
from lethe.forget._random import random_mask
from lethe.forget._reinitialize import Forgotten, reinitialize
from lethe.forget._select import Select, Selector, everything, later_layers, named, weights
from lethe.forget._snip import snip_mask

__all__ = [
    "Forgotten",
    "Select",
    "Selector",
    "everything",
    "fisher_mask",
    "later_layers",
    "magnitude_mask",
    "named",
    "random_mask",
    "reinitialize",
    "snip_mask",
    "weights",
]
