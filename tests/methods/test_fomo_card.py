"""The card names options that exist, and all of them that decide something."""

import dataclasses
import re
from pathlib import Path

from lethe.methods import FOMOConfig

CARD = Path(__file__).parents[2] / "docs" / "methods" / "fomo.md"


def test_every_option_of_fomo_is_in_its_card():
    text = re.sub(r"```.*?```", "", CARD.read_text(), flags=re.DOTALL)
    words = {word for code in re.findall(r"`([^`]+)`", text) for word in re.findall(r"[a-z_]+", code)}
    assert sorted({field.name for field in dataclasses.fields(FOMOConfig)} - words) == []
