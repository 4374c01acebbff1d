"""AMP in a loop of one's own, on random images: python examples/amp_own_loop.py."""

import torch
import torch.nn.functional as F
from torch import nn

from lethe import AMP


def main() -> None:
    torch.manual_seed(0)
    images, labels = torch.rand(512, 1, 8, 8), torch.randint(10, (512,))
    model = nn.Sequential(nn.Conv2d(1, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Flatten(), nn.Linear(576, 10))
    optimizer = AMP(model.parameters(), lr=0.05, epsilon=0.2, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.1)

    for epoch in range(4):
        total, correct = 0.0, 0
        for x, y in zip(images.split(64), labels.split(64), strict=True):

            def closure(x=x, y=y):
                optimizer.zero_grad()
                outputs = model(x)
                loss = F.cross_entropy(outputs, y)
                loss.backward()
                return outputs, loss

            outputs, loss = optimizer.step(closure)  # of the first pass, at the unperturbed weights
            total += loss.item() * len(y)
            correct += int((outputs.argmax(1) == y).sum())
        scheduler.step()
        print(f"epoch {epoch + 1}: loss {total / len(labels):.3f}, accuracy {correct / len(labels):.0%}")


if __name__ == "__main__":
    main()
