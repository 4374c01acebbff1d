"""Time one training step under PGD-10: as most adversarial-training scripts have it, and as Lethe has it.

python benchmarks/pgd_step.py --rounds 5 --out results/speed/pgd-step-cpu.md

The ways alternate within each round, so that a machine that is busy for a while slows all of them alike; the table
shows the median over rounds and, against the first way, the ratio of each round. The network is PreActResNet-18 on
32×32 images unless --network small says small-resnet of width 32 on 16×16.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from page import show
from torch import Tensor, nn

from lethe.attacks import PGD
from lethe.engine._run_directory import commit
from lethe.models import ModelConfig, build

Step = Callable[[nn.Module, torch.optim.Optimizer, Tensor, Tensor], None]
EPSILON, STEP_SIZE, STEPS = 8 / 255, 2 / 255, 10


def peers(model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor) -> None:
    """Train mode throughout, and gradients of the weights in each attack step, thrown away."""
    model.train()
    adversarial = (x + torch.empty_like(x).uniform_(-EPSILON, EPSILON)).clamp(0, 1)
    for _ in range(STEPS):
        adversarial = adversarial.detach().requires_grad_()
        optimizer.zero_grad()
        F.cross_entropy(model(adversarial), y).backward()
        moved = adversarial.detach() + STEP_SIZE * adversarial.grad.sign()
        adversarial = (x + (moved - x).clamp(-EPSILON, EPSILON)).clamp(0, 1)
    optimizer.zero_grad()
    F.cross_entropy(model(adversarial.detach()), y).backward()
    optimizer.step()


def ours(attack: PGD) -> Step:
    """Lethe's attack, then one step on what it found, in the attack's precision."""

    def step(model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor) -> None:
        model.train()
        adversarial = attack(model, x, y)
        optimizer.zero_grad()
        precision = torch.autocast(x.device.type, torch.bfloat16) if attack.bf16 else contextlib.nullcontext()
        with precision:
            logits = model(adversarial).float()
        F.cross_entropy(logits, y).backward()
        optimizer.step()

    return step


def ways(bf16: bool) -> dict[str, tuple[Step, bool]]:
    """By name: the step, and whether the network's weights are stored channels-last."""
    plain = PGD(epsilon=EPSILON, step_size=STEP_SIZE, steps=STEPS)
    last = replace(plain, channels_last=True)
    found: dict[str, tuple[Step, bool]] = {
        "peers' pattern": (peers, False),
        "ours, attack in train mode": (ours(replace(plain, attack_mode="train")), False),
        "ours": (ours(plain), False),
        "ours, channels_last": (ours(last), True),
        "ours, channels_last, compile": (ours(replace(last, compile=True)), True),
    }
    if bf16:
        found["ours, channels_last, bf16"] = (ours(replace(last, bf16=True)), True)
        found["ours, channels_last, bf16, compile"] = (ours(replace(last, bf16=True, compile=True)), True)
    return found


def machine(device: torch.device) -> str:
    """What it ran on."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads, {capability}, torch {torch.__version__}"


def main() -> None:
    """Measure and print; with --out also write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=("preact-resnet18", "small"), default="preact-resnet18")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--bf16", action="store_true", help="also in bf16; minutes a step where the CPU has no bf16")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    torch.manual_seed(0)
    device = torch.device(asked.device)
    small = asked.network == "small"
    config = ModelConfig(model="small-resnet", width=32) if small else ModelConfig(model=asked.network)
    size = 16 if small else 32
    network = build(config, 10, (0.49, 0.48, 0.45), (0.25, 0.24, 0.26)).to(device)
    x = torch.rand(asked.batch_size, 3, size, size, device=device)
    y = torch.randint(10, (asked.batch_size,), device=device)
    running = {}
    for name, (step, last) in ways(asked.bf16).items():
        model = copy.deepcopy(network)
        model = model.to(memory_format=torch.channels_last) if last else model
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
        running[name] = (step, model, optimizer)
        step(model, optimizer, x, y)  # compiles, allocates
    seconds: dict[str, list[float]] = {name: [] for name in running}
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    for done in range(asked.rounds):
        for name, (step, model, optimizer) in running.items():
            started = time.perf_counter()
            step(model, optimizer, x, y)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            seconds[name].append(time.perf_counter() - started)
        print(f"round {done + 1} of {asked.rounds}", file=sys.stderr)
    lines = [
        f"{asked.network}, {size}×{size}, batch {asked.batch_size}, PGD-{STEPS}, median of {asked.rounds} rounds; "
        f"{machine(device)}; commit {commit()}",
        "",
        "| a training step | seconds | times as fast as the first, least to largest of a round |",
        "|---|---:|---|",
    ]
    first = seconds["peers' pattern"]
    for name, times in seconds.items():
        ratios = [a / b for a, b in zip(first, times, strict=True)]
        median = statistics.median(ratios)
        lines.append(
            f"| {name} | {statistics.median(times):.3g} | {median:.2f} ({min(ratios):.2f} to {max(ratios):.2f}) |"
        )
    show(lines, asked.out)


if __name__ == "__main__":
    main()
