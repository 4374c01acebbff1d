"""Arithmetic on lists of tensors."""

import pytest
import torch


def test_norms_of_half_precision_tensors_do_not_overflow():
    from lethe.optim._tensors import norm_of_all, norms

    large = [torch.full((100, 100), 1000.0, dtype=dtype) for dtype in (torch.float16, torch.bfloat16)]
    assert [n.item() for n in norms(large)] == pytest.approx([1e5, 1e5], rel=1e-4)
    assert norm_of_all(large).item() == pytest.approx(2**0.5 * 1e5, rel=1e-4)
