"""Accuracy by hand, and the network left as it was."""

import pytest
import torch
from torch import nn

import lethe
from lethe.attacks import PGD
from lethe.data import ImageSet
from lethe.evaluate import EvaluationConfig, accuracy


class Darkness(nn.Module):
    """Class 1 for images that are brighter than 0.5 in the mean, else class 0."""

    def __init__(self):
        super().__init__()
        self.sharpness = nn.Parameter(torch.tensor(10.0))

    def forward(self, x):
        brightness = self.sharpness * (x.mean((1, 2, 3)) - 0.5)
        return torch.stack([-brightness, brightness], dim=1)


def grey(values, labels):
    return ImageSet(torch.tensor(values).view(-1, 1, 1, 1).expand(-1, 1, 2, 2).clone(), torch.tensor(labels), 2)


def test_accuracy_counts_what_is_right():
    data = grey([0.1, 0.3, 0.6, 0.9, 0.8], [0, 1, 1, 1, 0])
    for batch_size in (1, 2, 5, 256):
        assert accuracy(Darkness(), data, batch_size=batch_size) == 3 / 5


def test_an_attack_turns_exactly_what_lies_within_its_reach():
    data = grey([0.1, 0.45, 0.55, 0.9], [0, 0, 1, 1])
    attack = PGD(epsilon=0.1, step_size=0.05, steps=5)
    assert accuracy(Darkness(), data) == 1.0
    assert accuracy(Darkness(), data, attack=attack) == 0.5


def test_the_same_seed_gives_the_same_value_and_asks_no_global_generator():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 4))
    data = ImageSet(torch.rand(64, 1, 4, 4), torch.randint(4, (64,)), 4)
    attack = PGD(epsilon=0.05, step_size=0.0, steps=1)  # the random start alone
    before = torch.get_rng_state()
    values = {accuracy(model, data, attack=attack, seed=3) for _ in range(3)}
    assert len(values) == 1
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("attack", [None, PGD(steps=2)])
def test_modes_gradients_and_statistics_are_left_as_they_were(attack):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 2)).train()
    model[1].eval()  # frozen by its user
    state = {name: value.clone() for name, value in model.state_dict().items()}
    accuracy(model, ImageSet(torch.rand(8, 1, 4, 4), torch.zeros(8, dtype=torch.long), 2), attack=attack)
    assert [module.training for module in model] == [True, False, True, True]
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_batch_norm_is_in_evaluation_mode_while_it_is_measured():
    model = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(4, 2, bias=False)).train()
    with torch.no_grad():
        model[2].weight.copy_(torch.tensor([[0.0] * 4, [1.0] * 4]))
    data = grey([0.6, 0.9], [1, 1])  # the batch's own mean would make one of them negative
    assert accuracy(model, data) == 1.0


@pytest.mark.parametrize("name", ["eval_every", "eval_steps", "eval_batch_size"])
def test_options_below_1_are_refused(name):
    with pytest.raises(lethe.LetheError, match=f"{name} must be at least 1, got 0"):
        EvaluationConfig(**{name: 0})
