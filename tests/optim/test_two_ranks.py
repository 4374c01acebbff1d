"""Two real ranks under torchrun, with gloo."""

import itertools
from pathlib import Path

import torch

from lethe.optim import RULES

DTYPES = (torch.float64, torch.bfloat16, torch.float16)


def test_two_ranks_give_the_result_of_one_process(under_torchrun):
    out = under_torchrun(Path(__file__).with_name("two_ranks.py"), 300)
    assert out.endswith("all equal\n")
    for name in RULES:
        cells = list(itertools.product((False, True), DTYPES, ("whole", "in four")))
        for batch_norm, dtype, cut in cells:
            assert f"{name}, DDP, batch norm {batch_norm}, {dtype}, {cut}: " in out
            assert f"{name}, DDP, compiled, batch norm {batch_norm}: " in out
        if hasattr(torch.cpu.Stream, "record_event"):  # torch 2.6 cannot shard on the CPU
            refused = name == "RMP"  # whose draw would depend on the sharding
            assert (f"{name}, FSDP2: refused" in out) == refused
            for batch_norm, dtype, cut in cells:
                assert (f"{name}, FSDP2, batch norm {batch_norm}, {dtype}, {cut}: " in out) != refused
