"""Two real ranks under torchrun, with gloo."""

import os
import subprocess
import sys
from pathlib import Path

import torch

from lethe.optim import RULES


def test_two_ranks_give_the_result_of_one_process():
    worker = Path(__file__).with_name("two_ranks.py")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(worker)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("all equal\n")
    for name in RULES:
        assert f"{name}, DDP, batch norm False" in done.stdout
        assert f"{name}, DDP, batch norm True" in done.stdout
        if hasattr(torch.cpu.Stream, "record_event"):  # torch 2.6 cannot shard on the CPU
            assert f"{name}, FSDP2" in done.stdout
            assert done.stdout.count("refused") == 1  # RMP, whose draw would depend on the sharding
