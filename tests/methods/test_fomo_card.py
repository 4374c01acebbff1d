"""The card names options that exist, and all of them that decide something."""

import dataclasses
import re
from pathlib import Path

from lethe.methods import FOMOConfig

CARD = Path(__file__).parents[2] / "docs" / "methods" / "fomo.md"


def test_every_option_of_fomo_is_in_its_card():
    words = set(re.findall(r"[a-z_]+", CARD.read_text()))
    assert {field.name for field in dataclasses.fields(FOMOConfig)} <= words
