"""Adversarial training with FOMO in a loop of one's own, on random images: python examples/fomo_own_loop.py."""

import torch
import torch.nn.functional as F
from torch import nn

from lethe import FOMO
from lethe.attacks import PGD
from lethe.forget import later_layers


def main() -> None:
    torch.manual_seed(0)
    images, labels = torch.rand(512, 1, 8, 8), torch.randint(10, (512,))
    model = nn.Sequential(nn.Conv2d(1, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Flatten(), nn.Linear(576, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    attack = PGD(epsilon=8 / 255, step_size=2 / 255, steps=3)
    fomo = FOMO(
        model, optimizer, start=2, period=2, fraction=0.1, select=later_layers(0.5), decay=0.99, consistency=1.0
    )

    for epoch in range(6):
        forgotten = fomo.begin_epoch(epoch)
        for x, y in zip(images.split(64), labels.split(64), strict=True):
            x_adv = attack(model, x, y)
            logits = model(x_adv)
            loss = F.cross_entropy(logits, y) + fomo.consistency(x_adv, logits)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            fomo.end_step()
        print(f"epoch {epoch + 1}: loss {loss.item():.3f}" + (f", {forgotten}" if forgotten else ""))

    accuracy = (fomo.stable(images).argmax(1) == labels).float().mean().item()
    print(f"the stable model fits {accuracy:.0%} of the random labels")


if __name__ == "__main__":
    main()
