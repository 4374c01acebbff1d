"""Share of a PGD-10 step that goes into the data: cutting batches from memory, and augmenting them.

python benchmarks/data_share.py --steps 3 --out results/speed/data-share.md

A batch is timed alone, without a network, and a training step alone, on a batch that is there already; the share is
the first over the sum of both. The network is PreActResNet-18 on 32×32 images as CIFAR-10 has them (here of noise,
which costs the same), and the step is the one that `lethe train at` makes on this device: the attack, and one update.
With --folder, an image folder's batches are timed as well: decoded from its files by --workers processes, and taken
as fast as these deliver. In training they decode during the step, so that this share is an upper bound.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from page import show

from lethe.attacks import PGD
from lethe.data import Augmentation, DataConfig, ImageSet, augmentation, batches, load
from lethe.engine._run_directory import commit
from lethe.models import ModelConfig, build

AUGMENTATIONS = ("none", "crop-flip", "crop-flip-rotate", "vanilla", "cutout", "autoaugment")
AIM = 0.05
"""Of a step, at most."""


def wait(device: torch.device) -> None:
    """Until a GPU has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def batch_seconds(data: ImageSet, size: int, augment: Augmentation, count: int) -> list[float]:
    """What each of ``count`` batches takes, the first of an epoch left out: the order is drawn there."""
    device, seconds = data.labels.device, []
    taken = batches(data, size, shuffle=torch.Generator().manual_seed(0), augment=augment)
    next(taken)
    for _ in range(count):
        wait(device)
        started = time.perf_counter()
        next(taken)
        wait(device)
        seconds.append(time.perf_counter() - started)
    return seconds


def step_seconds(size: int, steps: int, device: torch.device) -> list[float]:
    """What each of ``steps`` training steps takes, one to warm up left out."""
    model = build(ModelConfig(model="preact-resnet18"), 10, (0.49, 0.48, 0.45), (0.25, 0.24, 0.26)).to(device)
    model = model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    attack = PGD(epsilon=8 / 255, step_size=2 / 255, steps=10, channels_last=True)
    x, y = torch.rand(size, 3, 32, 32, device=device), torch.randint(10, (size,), device=device)
    seconds = []
    for _ in range(steps + 1):
        wait(device)
        started = time.perf_counter()
        model.train()
        adversarial = attack(model, x, y)
        optimizer.zero_grad()
        F.cross_entropy(model(adversarial), y).backward()
        optimizer.step()
        wait(device)
        seconds.append(time.perf_counter() - started)
    return seconds[1:]


def machine(device: torch.device) -> str:
    """What it ran on."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
    capability = torch.backends.cpu.get_cpu_capability()
    load = f", load average {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""  # not on Windows
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads{load}, {capability}, torch {torch.__version__}"


def main() -> None:
    """Measure and print; with --out also write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=5, help="training steps, and ten times as many batches")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--folder", help="holds train and val, with a folder a class")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    torch.manual_seed(0)
    device, size, count = torch.device(asked.device), asked.batch_size, 10 * asked.steps
    images = torch.randint(256, (size * (count + 2), 3, 32, 32), dtype=torch.uint8)
    data = ImageSet(images, torch.zeros(len(images), dtype=torch.long), 10).to(device)
    found = {name: batch_seconds(data, size, augmentation(name, "cifar10"), count) for name in AUGMENTATIONS}
    if asked.folder is not None:
        config = DataConfig(
            dataset="imagefolder",
            data_dir=asked.folder,
            image_size=64,
            workers=asked.workers,
            augment="random-resized-crop",
        )
        train = load(config).train.to(device)
        name = f"random-resized-crop to 64×64 from files, {asked.workers} workers"
        found[name] = batch_seconds(train, size, config.augmentation(), min(count, len(train) // size - 2))
    step = statistics.median(step_seconds(size, asked.steps, device))
    lines = [
        f"PreActResNet-18, 32×32, batch {size}, PGD-10: a step takes {step:.3g} s (median of {asked.steps}), "
        f"a batch as below (median of {count}); {machine(device)}; commit {commit()}",
        "",
        "| augmentation | a batch, ms | share of a step |",
        "|---|---:|---:|",
    ]
    shares = []
    for name, seconds in found.items():
        batch = statistics.median(seconds)
        shares.append(batch / (batch + step))
        lines.append(f"| {name} | {1000 * batch:.3g} | {shares[-1]:.2%} |")
    word = "below" if max(shares) < AIM else "NOT below"
    lines += ["", f"The largest share is {max(shares):.2%}, {word} the {AIM:.0%} that are the aim."]
    show(lines, asked.out)


if __name__ == "__main__":
    main()
