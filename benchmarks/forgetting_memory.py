"""How much memory does a forgetting take beside the network, from ten million weights to a billion?

python benchmarks/forgetting_memory.py --out results/speed/forgetting-memory.md
"""

from __future__ import annotations

import argparse
import gc
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from page import show
from torch import nn

from lethe import forget
from lethe.engine._run_directory import commit
from lethe.models import ModelConfig, build

NETWORKS = {  # by name: the side of an image
    "preact-resnet18": 32,
    "timm:vit_base_patch16_224": 224,
    "timm:vit_giant_patch14_224": 224,
}
SHARE = 0.2
PEERS = "magnitude by a list of all scores"  # concatenated, and the threshold by kthvalue: the peers' pattern


def main() -> None:
    """Measure each network and way in a process of its own, and print; with --out also write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--limit", type=float, default=18.0, help="GiB that a process may take")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        resource.setrlimit(resource.RLIMIT_DATA, (int(asked.limit * 2**30),) * 2)
        print(measured(*asked.one))
        return
    lines = [
        f"{SHARE:.0%} of the convolutional and linear weights, fp32, SNIP on two images; most memory of the process",
        f"beside the network, in bytes a weight and in all. CPU, torch {torch.__version__}; commit {commit()}",
        "",
        "| network | weights | " + " | ".join(WAYS) + " |",
        "|---|---:|" + "---:|" * len(WAYS),
    ]
    for name in asked.networks:
        weights, cells = 0, []
        for way in WAYS:
            print(f"{name}: {way}", flush=True)
            command = [sys.executable, __file__, "--limit", str(asked.limit), "--one", name, way]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                if "allocate memory" not in done.stderr and "MemoryError" not in done.stderr:
                    sys.exit(done.stderr)
                cells.append(f"fails: the process would take over {asked.limit:g} GiB")
                continue
            weights, extra = map(int, done.stdout.split())
            cells.append(f"{extra / weights:.1f} ({extra / 2**30:,.2f} GiB)")
        lines.append(f"| {name} | {weights / 1e6:,.0f} million | " + " | ".join(cells) + " |")
    show(lines, asked.out)


def measured(name: str, way: str) -> str:
    """Weights of the network, and bytes that the way takes at most beside them."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = build(ModelConfig(model=name), 10, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)).eval()
    side = NETWORKS[name]
    with peak_above() as extra:
        WAYS[way](network, side)
    return f"{sum(p.numel() for p in network.parameters())} {extra[0]}"


@contextmanager
def peak_above() -> Iterator[list[int]]:
    """The most memory within, beyond what there was at its beginning."""
    torch.ones(2, 2).abs().sum()  # what torch loads at first use is not counted
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before, extra = _status("VmRSS"), [0]
    yield extra
    extra[0] = _status("VmHWM") - before


def _status(key: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key))
    return int(line.split()[1]) * 1024


def _random(network: nn.Module, side: int) -> None:
    forget.random_mask(network, SHARE)


def _magnitude(network: nn.Module, side: int) -> None:
    forget.magnitude_mask(network, SHARE, ties="first")


def _snip(network: nn.Module, side: int) -> None:
    forget.snip_mask(network, [(torch.rand(2, 3, side, side), torch.tensor([0, 1]))], SHARE, ties="first")


def _forgetting(network: nn.Module, side: int) -> None:
    forget.reinitialize(network, forget.random_mask(network, SHARE))


def _by_a_list(network: nn.Module, side: int) -> None:
    scores = {name: p.detach().abs() for name, p in network.named_parameters() if p.ndim > 1}
    every = torch.cat([score.flatten() for score in scores.values()])
    threshold = every.kthvalue(int(SHARE * len(every))).values
    {name: score <= threshold for name, score in scores.items()}


WAYS: dict[str, Callable[[nn.Module, int], None]] = {
    "random": _random,
    "magnitude": _magnitude,
    "SNIP": _snip,
    "random, and re-drawn": _forgetting,
    PEERS: _by_a_list,
}


if __name__ == "__main__":
    main()
