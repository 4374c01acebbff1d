"""What a step minimises, and what it costs."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from lethe.attacks import PGD
from lethe.objectives import PGDAT, Standard


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 16, bias=False), nn.Tanh(), nn.Linear(16, 4, bias=False))


def batch():
    generator = torch.Generator().manual_seed(0)
    return torch.rand(8, 3, 2, 2, generator=generator), torch.randint(4, (8,), generator=generator)


def test_standard_training_is_cross_entropy_on_the_images_as_they_are():
    model, (x, y) = network(), batch()
    objective = Standard()
    assert objective.prepare(model, x, y, torch.Generator()) is x
    loss, logits = objective.loss(model, x, y)
    assert torch.equal(logits, model(x))
    assert torch.equal(loss, F.cross_entropy(model(x), y))


def test_adversarial_training_is_cross_entropy_on_attacked_images():
    model, (x, y) = network(), batch()
    attack = PGD(epsilon=0.1, step_size=0.05, steps=3)
    attacked = PGDAT(attack).prepare(model, x, y, torch.Generator().manual_seed(1))
    assert torch.equal(attacked, attack(model, x, y, torch.Generator().manual_seed(1)))
    loss, logits = PGDAT(attack).loss(model, attacked, y)
    assert torch.equal(loss, F.cross_entropy(model(attacked), y))
    assert torch.equal(logits, model(attacked))


def test_a_step_of_adversarial_training_costs_2k_plus_3_forward_passes():
    model, (x, y) = network(), batch()
    x.requires_grad_()  # so that the first layer's backward is a full one
    objective = PGDAT(PGD(steps=5))
    with FlopCounterMode(display=False) as forward:
        model(x)
    with FlopCounterMode(display=False) as step:
        attacked = objective.prepare(model, x, y, torch.Generator()).requires_grad_()
        objective.loss(model, attacked.view_as(attacked), y)[0].backward()
    assert step.get_total_flops() == (2 * 5 + 3) * forward.get_total_flops()
