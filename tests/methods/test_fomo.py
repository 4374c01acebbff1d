"""FOMO in a loop of one's own."""

import copy
import io

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import lethe
from lethe import forget


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 8), nn.Linear(8, 3))


def make(model, **options):
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    settings = {"start": 2, "period": 3, "fraction": 0.25, "decay": 0.9, "consistency": 2.0} | options
    return lethe.FOMO(model, optimizer, generator=torch.Generator().manual_seed(0), **settings), optimizer


def step(model, fomo, optimizer, x, y):
    logits = model(x)
    loss = F.cross_entropy(logits, y) + fomo.consistency(x, logits)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    fomo.end_step()
    return loss.detach()


def train(model, fomo, optimizer, epochs):
    for epoch in epochs:
        fomo.begin_epoch(epoch)
        generator = torch.Generator().manual_seed(epoch)
        for _ in range(3):
            x = torch.randn(16, 6, generator=generator)
            step(model, fomo, optimizer, x, torch.randint(3, (16,), generator=generator))


def test_it_forgets_when_due():
    fomo, _ = make(network())
    due = [epoch for epoch in range(10) if fomo.begin_epoch(epoch) is not None]
    assert due == [2, 5, 8]
    assert fomo.forgettings == 3


def test_it_forgets_the_chosen_share_of_the_later_layers():
    model = network()
    fomo, _ = make(model, later_layers=0.5)
    before = copy.deepcopy(model.state_dict())
    report = fomo.begin_epoch(2)
    assert report.by_name == {"3.weight": 16, "4.weight": 6}  # two of three layers
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"3.weight", "4.weight"}


def test_by_default_the_later_three_quarters_of_the_layers_forget():
    model = nn.Sequential(*(nn.Linear(4, 4) for _ in range(4)))
    fomo, _ = make(model)
    assert fomo.begin_epoch(2).by_name == {"1.weight": 4, "2.weight": 4, "3.weight": 4}


def test_another_selection():
    fomo, _ = make(network(), select=forget.named("0.weight"))
    assert fomo.begin_epoch(2).by_name == {"0.weight": 12}


def test_each_forgetting_takes_other_weights():
    model = network()
    fomo, _ = make(model)
    changed = []
    for epoch in (2, 5):
        before = model[3].weight.detach().clone()
        fomo.begin_epoch(epoch)
        changed.append(model[3].weight != before)
    assert not torch.equal(changed[0], changed[1])


def test_the_momentum_of_what_is_forgotten_is_cleared():
    model = network()
    fomo, optimizer = make(model)
    train(model, fomo, optimizer, range(2))
    before = model[3].weight.detach().clone()
    momentum = optimizer.state[model[3].weight]["momentum_buffer"]
    assert (momentum != 0).all()
    fomo.begin_epoch(2)
    assert torch.equal(momentum == 0, model[3].weight != before)


def test_the_consistency_loss_begins_with_the_first_forgetting():
    model = network()
    fomo, optimizer = make(model)
    train(model, fomo, optimizer, range(2))
    x = torch.randn(5, 6)
    logits = model(x)
    assert fomo.consistency(x, logits).item() == 0.0
    fomo.begin_epoch(2)
    with torch.no_grad():
        p = F.softmax(fomo.stable(x), 1)
    expected = 2.0 * (p * (p.log() - F.log_softmax(logits, 1))).sum(1).mean()
    torch.testing.assert_close(fomo.consistency(x, logits), expected)
    assert fomo.consistency(x, logits).requires_grad


def test_consistency_costs_one_forward_pass_and_none_before_it_is_needed():
    model = network()
    fomo, _ = make(model)
    x = torch.randn(16, 6)
    logits = model(x)

    def cost(work):
        with FlopCounterMode(display=False) as counter:
            work()
        return counter.get_total_flops()

    forward = cost(lambda: model(x))
    assert cost(lambda: fomo.consistency(x, logits)) == 0
    fomo.begin_epoch(2)
    assert cost(lambda: fomo.consistency(x, logits)) == forward
    fomo.consistency_weight = 0.0
    assert cost(lambda: fomo.consistency(x, logits)) == 0


def test_the_stable_model_is_the_moving_average_of_the_steps():
    model = network()
    fomo, optimizer = make(model, start=100)
    average, name = None, "0.weight"
    for t in range(30):
        step(model, fomo, optimizer, torch.randn(16, 6), torch.randint(3, (16,)))
        value = model.get_parameter(name).detach().clone()
        keep = min(0.9, 1 - 1 / (t + 1))
        average = value if average is None else keep * average + (1 - keep) * value
    torch.testing.assert_close(fomo.stable.get_parameter(name), average)
    assert not fomo.stable.training


def test_forgetting_does_not_touch_the_stable_model():
    model = network()
    fomo, optimizer = make(model)
    train(model, fomo, optimizer, range(2))
    before = copy.deepcopy(fomo.stable.state_dict())
    fomo.begin_epoch(2)
    assert all(torch.equal(value, before[name]) for name, value in fomo.stable.state_dict().items())


@pytest.mark.parametrize("stop", [1, 4])
def test_a_saved_fomo_goes_on_to_the_bit(stop):
    model = network()
    fomo, optimizer = make(model)
    train(model, fomo, optimizer, range(stop))
    file = io.BytesIO()
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "fomo": fomo.state_dict()}
    torch.save(state, file)
    train(model, fomo, optimizer, range(stop, 7))
    file.seek(0)
    loaded = torch.load(file, weights_only=True)
    again = network()
    resumed, resumed_optimizer = make(again)
    again.load_state_dict(loaded["model"])
    resumed_optimizer.load_state_dict(loaded["optimizer"])
    resumed.load_state_dict(loaded["fomo"])
    train(again, resumed, resumed_optimizer, range(stop, 7))
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    assert all(torch.equal(v, resumed.stable.state_dict()[n]) for n, v in fomo.stable.state_dict().items())
    assert resumed.forgettings == fomo.forgettings


def test_it_works_with_amp_and_without_an_optimizer():
    model = network()
    optimizer = lethe.AMP(model.parameters(), lr=0.1, epsilon=0.1, momentum=0.9)
    fomo = lethe.FOMO(model, optimizer, start=0, period=1, fraction=0.5)
    x, y = torch.randn(16, 6), torch.randint(3, (16,))

    def closure():
        optimizer.zero_grad()
        logits = model(x)
        (F.cross_entropy(logits, y) + fomo.consistency(x, logits)).backward()

    optimizer.step(closure)
    fomo.begin_epoch(0)
    assert (optimizer.state[model[4].weight]["momentum_buffer"] == 0).float().mean() == 0.5
    optimizer.step(closure)
    assert lethe.FOMO(model, None, start=0, period=1).begin_epoch(0).count > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": -1}, "start must be at least 0"),
        ({"period": 0}, "period must be at least 1"),
        ({"fraction": 3.5}, "it is a share, 0.035 for 3.5 %"),
        ({"decay": -0.1}, "decay must lie in"),
        ({"consistency": -1.0}, "consistency must be"),
        ({"select": forget.named("layer4.*")}, "matches no parameter"),
    ],
)
def test_a_bad_option_is_found_at_once(options, message):
    with pytest.raises(ValueError, match=message):
        make(network(), **options)


def test_the_same_epoch_begins_with_one_forgetting_however_often_it_is_begun():
    fomo, _ = make(network())
    assert fomo.begin_epoch(2) is not None
    assert fomo.begin_epoch(2) is None
    assert fomo.begin_epoch(5) is not None


def test_a_saved_generator_is_not_dropped_in_silence():
    model = network()
    fomo, _ = make(model)
    with pytest.raises(ValueError, match="drew from a generator of its own"):
        lethe.FOMO(model, None, start=2).load_state_dict(fomo.state_dict())
