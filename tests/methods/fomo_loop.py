"""A small network in a loop of one's own with FOMO, which the tests of FOMO share."""

import torch
import torch.nn.functional as F
from torch import nn

import lethe


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))


def data(epoch=0):
    generator = torch.Generator().manual_seed(epoch)
    return [(torch.randn(16, 6, generator=generator), torch.randint(3, (16,), generator=generator)) for _ in range(3)]


def make(model, **options):
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    settings = {"start": 2, "period": 3, "fraction": 0.25, "later_layers": 0.5, "decay": 0.9, "consistency": 2.0}
    if "select" in options:
        del settings["later_layers"]
    options = settings | options
    return lethe.FOMO(model, optimizer, generator=torch.Generator().manual_seed(0), **options), optimizer


def step(model, fomo, optimizer, x, y):
    noisy = x + 0.1
    logits = model(noisy)
    loss = F.cross_entropy(logits, y) + fomo.consistency(noisy, logits, x)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    fomo.end_step()


def train(model, fomo, optimizer, epochs, accuracies=None):
    for epoch in epochs:
        fomo.begin_epoch(epoch, iter(data(epoch)))
        for x, y in data(epoch):
            step(model, fomo, optimizer, x, y)
        fomo.end_epoch(epoch, lambda epoch=epoch: [x for x, _ in data(epoch)])
        if accuracies is not None:
            fomo.observe(accuracies[epoch])


def awp(model, x, y):
    """AWP's optimizer with FOMO that forgets each epoch, and a step of both passes on one batch."""
    optimizer = lethe.AWP(model.parameters(), lr=0.1, gamma=0.01)
    fomo = lethe.FOMO(model, optimizer, start=0, period=1)

    def closure():
        optimizer.zero_grad()
        logits = model(x)
        (F.cross_entropy(logits, y) + fomo.consistency(x, logits)).backward()

    return fomo, lambda: optimizer.step(closure)
