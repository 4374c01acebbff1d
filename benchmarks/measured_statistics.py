"""What does measuring the stable model's batch statistics on what it is asked cost, against its pass alone?

python benchmarks/measured_statistics.py --rounds 10 --out results/speed/measured-statistics.md
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import torch
from page import show

from lethe.consolidate import MeasuredStatistics
from lethe.engine._run_directory import commit
from lethe.models import ModelConfig, build

NETWORKS = {  # by name: options and side of an image
    "preact-resnet18": (ModelConfig(model="preact-resnet18"), 32),
    "timm:test_resnet": (ModelConfig(model="timm:test_resnet"), 32),
    "small-resnet": (ModelConfig(model="small-resnet"), 16),
}
PASSES = 24  # forward passes that a step of FOMO against PGD-10 costs: 10 of 2F, 3F of training, and the stable model's


def main() -> None:
    """Measure and print; with --out also write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    lines = [
        f"Batches of {asked.batch_size}, fp32, one thread, median of {asked.rounds} alternating rounds; CPU, "
        f"{torch.backends.cpu.get_cpu_capability()}, torch {torch.__version__}; commit {commit()}",
        "",
        "| network | a pass, ms | asked and measured, ms | more, of a pass | of a step against PGD-10 (24F) |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, (config, side) in NETWORKS.items():
        torch.manual_seed(0)
        network = build(config, 10, (0.49, 0.48, 0.45), (0.25, 0.24, 0.26)).eval()
        measured = MeasuredStatistics(network, network)
        x = torch.rand(asked.batch_size, 3, side, side)
        seconds: dict[str, list[float]] = {"plain": [], "measured": []}
        for at in range(asked.rounds + 1):
            for way, times in seconds.items():
                # Of this process alone: other work on the machine does not count.
                started = time.process_time()
                with torch.no_grad():
                    if way == "plain":
                        network(x)
                    else:
                        measured.ask(lambda network=network, x=x: network(x))  # type: ignore[misc]
                        measured.move()
                if at > 0:  # the first warms up
                    times.append(time.process_time() - started)
        plain, more = (statistics.median(times) for times in seconds.values())
        extra = more / plain - 1
        lines.append(
            f"| {name}, {side}×{side} | {plain * 1e3:.1f} | {more * 1e3:.1f} | {extra:.0%} | {extra / PASSES:.1%} |"
        )
    show(lines, asked.out)


if __name__ == "__main__":
    main()
