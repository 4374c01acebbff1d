"""Two real ranks under torchrun, with gloo."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import torch

from lethe.forget import CRITERIA


def under_torchrun(worker, seconds):
    """What two ranks printed; none of them outlives the test."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(worker)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment, start_new_session=True, **pipes) as process:
        try:
            out, errors = process.communicate(timeout=seconds)
        except BaseException:
            os.killpg(process.pid, signal.SIGTERM)  # torchrun ends its ranks, which are sessions of their own
            raise
    assert process.returncode == 0, out + errors
    return out


def test_two_ranks_forget_what_one_process_does():
    out = under_torchrun(Path(__file__).with_name("two_ranks.py"), 200)
    assert out.endswith("all equal\n")
    can_shard = hasattr(torch.cpu.Stream, "record_event")
    for criterion in CRITERIA:
        assert f"DDP, {criterion}, channels, re-drawn: equal" in out
        assert (f"FSDP2, {criterion}, weights, overall: equal" in out) == can_shard
    assert "DDP, FOMO {}, stable: equal" in out
    assert ("FSDP2, FOMO {}, stable: equal" in out) == can_shard
