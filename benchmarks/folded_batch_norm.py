"""Does folding batch norm into convolutions pay in an attack? And how much of an attack is convolutions?

python benchmarks/folded_batch_norm.py --rounds 5 --out results/speed/folded-batch-norm.md
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import torch
from page import show
from torch.fx.experimental.optimization import fuse
from torch.profiler import profile

from lethe.attacks import PGD
from lethe.engine._run_directory import commit
from lethe.models import ModelConfig, build

NETWORKS = {  # by name: options, side of an image, images in a batch
    "preact-resnet18": (ModelConfig(model="preact-resnet18"), 32, 16),
    "small": (ModelConfig(model="small-resnet", width=32), 16, 64),
}


def main() -> None:
    """Measure and print; with --out also write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    capability, threads = torch.backends.cpu.get_cpu_capability(), torch.get_num_threads()
    lines = [
        f"PGD-5, fp32, channels-last, median of {asked.rounds} alternating rounds; CPU, {capability}, "
        f"{threads} threads, torch {torch.__version__}; commit {commit()}",
        "",
        "| network | batch norms, folded | seconds | seconds folded | saved | convolutions' share of the plain one |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, (config, side, count) in NETWORKS.items():
        torch.manual_seed(0)
        plain = build(config, 10, (0.49, 0.48, 0.45), (0.25, 0.24, 0.26)).eval().requires_grad_(False)
        folded = fuse(plain).to(memory_format=torch.channels_last)
        plain = plain.to(memory_format=torch.channels_last)
        x, y = torch.rand(count, 3, side, side), torch.randint(10, (count,))
        attack = PGD(steps=5, channels_last=True)
        seconds: dict[str, list[float]] = {"plain": [], "folded": []}
        for _ in range(asked.rounds):
            for way, network in (("plain", plain), ("folded", folded)):
                started = time.perf_counter()
                attack(network, x, y)
                seconds[way].append(time.perf_counter() - started)
        with profile() as seen:
            attack(plain, x, y)
        events = seen.key_averages()
        convolutions = sum(e.self_cpu_time_total for e in events if "convolution" in e.key)
        share = convolutions / sum(e.self_cpu_time_total for e in events)
        norms = [sum(isinstance(m, torch.nn.BatchNorm2d) for m in n.modules()) for n in (plain, folded)]
        before, after = (statistics.median(times) for times in seconds.values())
        lines.append(
            f"| {name}, {side}×{side}, batch {count} | {norms[0]}, {norms[0] - norms[1]} | {before:.3g} | "
            f"{after:.3g} | {1 - after / before:.1%} | {share:.0%} |"
        )
    show(lines, asked.out)


if __name__ == "__main__":
    main()
