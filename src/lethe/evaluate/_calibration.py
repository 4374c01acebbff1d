"""Does a network that is 80 % sure classify 80 % right?"""

from __future__ import annotations

import torch
from torch import nn

from lethe._check import at_least
from lethe._guard import evaluation_mode
from lethe.data import ImageSet, batches


def calibration_error(model: nn.Module, data: ImageSet, *, bins: int = 15, batch_size: int = 256) -> float:
    """Expected calibration error (Guo et al., ICML 2017), in [0, 1].

    The mean over images of how far confidence and accuracy are apart in their bin, with bins of equal width.

    Args:
        model: from images in [0, 1] to logits; it is left as it was.
        data: images and labels, on the model's device.
        bins: of the confidence, the probability of the predicted class; at least 1.
        batch_size: images at a time.
    """
    at_least("bins", bins, 1)
    confidences, rights = [], []
    with evaluation_mode(model), torch.no_grad():
        for x, y in batches(data, batch_size):
            confidence, predicted = model(x).float().softmax(1).max(1)  # sums in half precision would stand still
            confidences.append(confidence)
            rights.append((predicted == y).to(confidence.dtype))
    confidence, right = torch.cat(confidences), torch.cat(rights)
    bin_of = (confidence * bins).ceil().long().sub(1).clamp(0, bins - 1)  # (0, 1/bins] is the first
    gaps = torch.zeros(bins, dtype=confidence.dtype, device=confidence.device)
    gaps.index_add_(0, bin_of, right - confidence)
    return float(gaps.abs().sum()) / len(confidence)
