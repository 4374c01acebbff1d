"""Arithmetic on lists of tensors."""

import pytest
import torch

from lethe.optim import _tensors


def test_norms_of_half_precision_tensors_do_not_overflow():
    large = [torch.full((100, 100), 1000.0, dtype=dtype) for dtype in (torch.float16, torch.bfloat16)]
    assert [n.item() for n in _tensors.norms(large)] == pytest.approx([1e5, 1e5], rel=1e-4)
    assert _tensors.norm_of_all(large).item() == pytest.approx(2**0.5 * 1e5, rel=1e-4)


DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


def lists(dtype):
    generator = torch.Generator().manual_seed(0)
    shapes = ((3, 4), (5,), (1,), (2, 1, 3))
    return [[torch.randn(shape, generator=generator).to(dtype) for shape in shapes] for _ in range(2)]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("one_for_all", [False, True])
def test_kernels_for_lists_equal_a_loop(dtype, one_for_all):
    factors = torch.tensor(0.3) if one_for_all else torch.tensor([0.3, -2.0, 0.0, 1.5])
    each = [0.3] * 4 if one_for_all else factors.tolist()
    for foreach in (True, False):
        targets, others = lists(dtype)
        expected = [t + o * torch.tensor(f) for t, o, f in zip(targets, others, each, strict=True)]
        _tensors.add_scaled_(targets, others, factors, foreach=foreach)
        assert all(torch.equal(t, e) and t.dtype == dtype for t, e in zip(targets, expected, strict=True))
        expected = [t * torch.tensor(f) for t, f in zip(targets, each, strict=True)]
        _tensors.scale_(targets, factors, foreach=foreach)
        assert all(torch.equal(t, e) and t.dtype == dtype for t, e in zip(targets, expected, strict=True))
        _tensors.clamp_(targets, 0.1, foreach=foreach)
        assert all((t.abs() <= 0.11).all() for t in targets)


def test_clamping_leaves_nan_and_zeroing_does_not():
    for foreach in (True, False):
        targets = [torch.tensor([float("nan"), float("inf"), -1.0])]
        _tensors.clamp_(targets, 0.5, foreach=foreach)
        assert torch.isnan(targets[0][0])
        assert targets[0][1:].tolist() == [0.5, -0.5]
        _tensors.zero_(targets, foreach=foreach)
        assert targets[0].tolist() == [0.0, 0.0, 0.0]
