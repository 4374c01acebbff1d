"""Restricted ImageNet: ImageNet's 1,000 classes cut down to groups that are easy to tell apart.

Groups are ranges of ImageNet's class indices, ends included; a class's index is the place of its WordNet id among the
1,000 sorted ids.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TypeAlias

from lethe._check import LetheError
from lethe.data._image_folder import class_names

Groups: TypeAlias = "tuple[tuple[str, int, int], ...]"
"""Of each class its name, and its first and last index."""

NINE: Groups = (
    ("dog", 151, 268),
    ("cat", 281, 285),
    ("frog", 30, 32),
    ("turtle", 33, 37),
    ("bird", 80, 100),
    ("primate", 365, 382),
    ("fish", 389, 397),
    ("crab", 118, 121),
    ("insect", 300, 319),
)
"""Of the robustness literature: Tsipras et al., "Robustness may be at odds with accuracy" (ICLR 2019), and the same
ranges in ``robustness/tools/constants.py`` of the authors' package. 203 of ImageNet's classes, of unequal numbers."""

FOURTEEN: Groups = (
    ("bird", 10, 14),
    ("turtle", 33, 37),
    ("lizard", 42, 46),
    ("spider", 72, 76),
    ("crab", 118, 122),
    ("dog", 200, 204),
    ("cat", 281, 285),
    ("big cat", 286, 290),
    ("beetle", 302, 306),
    ("butterfly", 322, 326),
    ("monkey", 371, 374),
    ("fish", 393, 397),
    ("fruit", 948, 952),
    ("fungus", 992, 996),
)
"""``RestrictedImageNetBalanced``, which LURE's loader imports. It is not in the released ``robustness`` package; the
ranges are those of ``BALANCED_RANGES`` in an earlier version of that library, of which public copies exist and agree,
and the ends are included there, too. Five classes a group, but monkeys are four there: 69 in all. LURE's loader takes
validation images from number 80,565 on, nine tenths of 89,517 images, which 69 classes of at most 1,300 can have and 70
full ones cannot; the customised library that LURE itself ran with was not seen."""

GROUPINGS = {9: NINE, 14: FOURTEEN}

LANDMARKS = {
    0: "n01440764",
    30: "n01641577",
    33: "n01664065",
    80: "n01795545",
    118: "n01978287",
    151: "n02085620",
    281: "n02123045",
    300: "n02165105",
    365: "n02480495",
    389: "n02514041",
    948: "n07742313",
    992: "n12998815",
    999: "n15075141",
}
"""WordNet ids at some places, which tell ImageNet's own 1,000 classes from another thousand."""


def grouped_folders(train: Path, classes: int) -> dict[str, int]:
    """The class folders of ImageNet that belong to a group, with the group's number.

    Args:
        train: ImageNet's training folder: 1,000 class folders, named by WordNet id (``n01440764``) or by class index
            (``0`` to ``999``). Without all of them an index could not be told from the sorted ids.
        classes: 9 or 14.

    Raises:
        LetheError: these are not ImageNet's 1,000 classes.
    """
    names = class_names(train)
    if all(name.isdecimal() for name in names):
        names.sort(key=int)
        right = [int(name) for name in names] == list(range(1000))
    else:
        right = len(names) == 1000 and all(re.fullmatch(r"n\d{8}", name) for name in names)
        right = right and all(names[index] == wnid for index, wnid in LANDMARKS.items())
    if not right:
        raise LetheError(
            f"{str(train)!r} holds {len(names)} class folders, not ImageNet's 1,000, named by WordNet id or from 0 to "
            "999: restricted-imagenet needs them all (they may be empty) to know which index a class has."
        )
    return {
        names[index]: label
        for label, (_, first, last) in enumerate(GROUPINGS[classes])
        for index in range(first, last + 1)
    }
