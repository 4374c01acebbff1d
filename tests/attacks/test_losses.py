"""What an attack raises, by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import lethe
from lethe.attacks._losses import LOSSES

LOGITS = torch.tensor([[1.0, 4.0, 2.0, -1.0], [3.0, 0.0, 2.0, 1.0]], dtype=torch.float64)
Y = torch.tensor([1, 2])


def test_the_margin_by_hand():
    assert LOSSES["margin"].value(LOGITS, Y).tolist() == [2.0 - 4.0, 3.0 - 2.0]


def test_the_difference_of_logits_ratio_by_hand():
    # -(4 - 2) / (4 - 1), and -(2 - 3) / (3 - 1)
    assert LOSSES["dlr"].value(LOGITS, Y).tolist() == pytest.approx([-2 / 3, 1 / 2], rel=1e-9)


@given(st.floats(0.01, 100), st.floats(-100, 100))
def test_the_ratio_knows_neither_scale_nor_shift(scale, shift):
    moved = LOSSES["dlr"].value(LOGITS * scale + shift, Y)
    torch.testing.assert_close(moved, LOSSES["dlr"].value(LOGITS, Y), rtol=1e-6, atol=1e-9)


def test_two_classes_have_no_third_logit():
    with pytest.raises(lethe.LetheError, match="at least 3 classes"):
        LOSSES["dlr"].value(LOGITS[:, :2], torch.tensor([0, 1]))


def test_the_divergence_by_hand():
    # KL((1/2, 1/2) ‖ (1/4, 3/4)) = 1/2 ln 2 + 1/2 ln 2/3
    clean, now = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.25, 0.75]]).log()
    found = LOSSES["kl"].value(now, clean)
    assert found.item() == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3), rel=1e-5)
    assert LOSSES["kl"].value(clean, clean).item() == pytest.approx(0.0, abs=1e-7)
