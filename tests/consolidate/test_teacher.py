"""The teacher is asked once for the same images."""

import torch
from torch import nn

from lethe.consolidate import Teacher


class Counts(nn.Module):
    calls = 0

    def forward(self, x):
        self.calls += 1
        return x * 2


def test_the_same_images_are_looked_at_once_and_others_anew():
    network = Counts()
    teacher, x = Teacher(network), torch.ones(2, 3, requires_grad=True)
    first = teacher.logits(x)
    assert not first.requires_grad
    assert teacher.logits(x) is first
    assert network.calls == 1
    with torch.no_grad():
        x.add_(1)
    assert torch.equal(teacher.logits(x), torch.full((2, 3), 4.0))
    teacher.logits(x.detach().clone())
    assert network.calls == 3
    teacher.forget()
    teacher.logits(x)
    assert network.calls == 4


def test_what_cannot_be_told_apart_is_looked_at_anew():
    network = Counts()
    with torch.inference_mode():
        x = torch.ones(2)
        for _ in range(2):
            Teacher(network).logits(x)
        teacher = Teacher(network)
        teacher.logits(x)
        x.add_(1)
        assert torch.equal(teacher.logits(x), torch.full((2,), 4.0))
