"""What the trials of every rule share."""

import pytest
import torch
from torch import nn

from lethe.optim import RULES

every_rule = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)


def network(dtype=torch.float32):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 3)).to(dtype)


def closure_for(model, optimizer, x):
    def closure():
        optimizer.zero_grad()
        outputs = model(x)
        loss = outputs.float().square().mean()
        loss.backward()
        return outputs, loss

    return closure


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))
