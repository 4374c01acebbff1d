"""Running statistics move once a step, or in every pass on request."""

import copy
import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from two_pass_trials import closure_for, every_rule, network, same

import lethe
from lethe.optim import RULES


@every_rule
def test_batch_statistics_move_once_a_step(rule):
    model, plain = network(), network()
    optimizer = rule.build(model.parameters(), lr=0.0)
    for _ in range(4):
        x = torch.randn(16, 6)
        optimizer.step(closure_for(model, optimizer, x))
        plain(x)
    assert int(model[1].num_batches_tracked) == 4
    if rule is not RULES["RMP"]:  # whose only pass is at perturbed weights
        assert torch.equal(model[1].running_mean, plain[1].running_mean)
        assert torch.equal(model[1].running_var, plain[1].running_var)


def test_batch_statistics_move_in_every_pass_on_request():
    model = network()
    optimizer = lethe.AMP(model.parameters(), lr=0.1, epsilon=0.5, inner_iter=3, batch_statistics="every")
    optimizer.step(closure_for(model, optimizer, torch.randn(16, 6)))
    assert int(model[1].num_batches_tracked) == 4


def test_still_statistics_do_not_change_the_gradients():
    models = [network(), network()]
    x = torch.randn(16, 6)
    for model, statistics in zip(models, ("first", "every"), strict=True):
        optimizer = lethe.AMP(model.parameters(), lr=0.1, epsilon=0.5, batch_statistics=statistics)
        optimizer.step(closure_for(model, optimizer, x))
    assert same(*models)


def test_instance_norms_statistics_move_once_a_step():
    model = nn.Sequential(nn.Conv1d(1, 2, 1), nn.InstanceNorm1d(2, track_running_stats=True), nn.Flatten())
    optimizer = lethe.SAM(model.parameters(), lr=0.1)
    plain, x = copy.deepcopy(model), torch.randn(4, 1, 8)
    optimizer.step(closure_for(model, optimizer, x))
    plain(x)
    assert torch.equal(model[1].running_mean, plain[1].running_mean)


class Own(nn.Module):
    """A norm of one's own, with the buffers of torch's."""

    def __init__(self):
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(8))
        self.register_buffer("running_var", torch.ones(8))

    def forward(self, x):
        return F.batch_norm(x, self.running_mean, self.running_var, training=self.training)


@pytest.mark.parametrize("rule", [rule for rule in RULES.values() if rule.passes > 1])
@pytest.mark.parametrize("scripted", [False, True])
def test_norms_are_known_by_their_buffers_whatever_their_class(rule, scripted):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8) if scripted else Own(), nn.Linear(8, 3))
    expected = copy.deepcopy(model[:2])
    x = torch.randn(16, 6)
    expected(x)
    if scripted:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's word on TorchScript
            model = torch.jit.script(model)
    optimizer = rule.build(model.parameters(), lr=0.0, modules=model)
    optimizer.step(closure_for(model, optimizer, x))
    for mine, theirs in zip(list(model.buffers()), list(expected.buffers()), strict=True):
        torch.testing.assert_close(mine, theirs)
