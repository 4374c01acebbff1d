"""Options of every run, out of range and not."""

import pytest
import torch

import lethe
from lethe.engine import RunConfig


def test_a_device_that_is_not_here_is_one_line():
    assert RunConfig(device="cpu").torch_device() == torch.device("cpu")
    for device in ("no-such-device", "cuda:99"):
        with pytest.raises(lethe.LetheError, match="is not available here: use --device cpu or auto"):
            RunConfig(device=device).torch_device()
