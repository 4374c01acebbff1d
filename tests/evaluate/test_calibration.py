"""Expected calibration error by hand."""

import pytest
import torch
from torch import nn

from lethe.data import ImageSet
from lethe.evaluate import calibration_error


class Says(nn.Module):
    """Class 0 with the probability that stands in the image's only pixel."""

    def forward(self, x):
        p = x.flatten(1)
        return torch.cat([p, 1 - p], dim=1).log()


def images(confidences, labels):
    return ImageSet(torch.tensor(confidences).view(-1, 1, 1, 1), torch.tensor(labels), 2)


def test_by_hand():
    # Two bins: (1/2, 1] of ten would hold all; with 10 bins 0.95 and 0.95 share one, 0.65 has its own.
    data = images([0.95, 0.95, 0.65], [0, 1, 0])
    # bin of 0.95: accuracy 1/2, confidence 0.95, gap 0.45, weight 2/3; bin of 0.65: gap 0.35, weight 1/3
    assert calibration_error(Says(), data, bins=10) == pytest.approx(0.45 * 2 / 3 + 0.35 / 3, rel=1e-5)
    # One bin: accuracy 2/3, mean confidence 0.85.
    assert calibration_error(Says(), data, bins=1) == pytest.approx(0.85 - 2 / 3, rel=1e-5)


def test_a_confidence_on_an_edge_belongs_to_the_bin_below():
    data = images([0.5, 0.75], [0, 1])
    # (0, 1/2]: right, gap 0.5; (1/2, 1]: wrong, gap 0.75. In one bin: accuracy 1/2, confidence 0.625, gap 0.125.
    assert calibration_error(Says(), data, bins=2) == pytest.approx((0.5 + 0.75) / 2, rel=1e-5)


def test_certainty_that_is_right_is_calibrated():
    assert calibration_error(Says(), images([1.0, 1.0], [0, 0])) == pytest.approx(0.0, abs=1e-6)
    assert calibration_error(Says(), images([1.0, 1.0], [1, 1])) == pytest.approx(1.0, abs=1e-6)


def test_batches_do_not_matter_and_the_mode_is_kept():
    data = images([0.55, 0.7, 0.8, 0.99, 0.61], [0, 1, 0, 0, 1])
    model = Says().train()
    assert calibration_error(model, data, batch_size=2) == pytest.approx(calibration_error(model, data), rel=1e-6)
    assert model.training


def test_half_precision_is_summed_in_single():
    data = images([0.75] * 3000, [0, 1] * 1500)

    class Half(Says):
        def forward(self, x):
            return super().forward(x).bfloat16()

    assert calibration_error(Half(), data) == pytest.approx(0.25, abs=0.005)
