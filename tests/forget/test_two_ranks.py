"""Two real ranks under torchrun, with gloo."""

from pathlib import Path

import torch

from lethe.forget import CRITERIA


def test_two_ranks_forget_what_one_process_does(under_torchrun):
    out = under_torchrun(Path(__file__).with_name("two_ranks.py"), 200)
    assert out.endswith("all equal\n")
    can_shard = hasattr(torch.cpu.Stream, "record_event")
    for criterion in CRITERIA:
        assert f"DDP, {criterion}, channels, re-drawn: equal" in out
        assert (f"FSDP2, {criterion}, weights, overall: equal" in out) == can_shard
    assert "compiled DDP, dormant: equal" in out
    assert "DDP without a generator, stable: equal" in out
    assert "DDP, FOMO {}, stable: equal" in out
    assert ("FSDP2, FOMO {}, stable: equal" in out) == can_shard
    assert ("statistics measured, FSDP2: equal" in out) == can_shard
