"""PGD's options: starts, restarts, targets, early stop, step rules, modes, and ways to compute."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import lethe
from lethe.attacks import PGD, CarliniWagnerL2, cw_linf, fgsm, fgsm_rs
from lethe.attacks._losses import LOSSES
from lethe.data import ImageSet
from lethe.evaluate import Threat, signs_in_the_network


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Dropout(0.3), nn.Linear(128, 5)
    ).eval()


def images(count=32, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, 6, 6, generator=generator), torch.randint(5, (count,), generator=generator)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def losses(model, x, y, loss="ce"):
    with torch.no_grad():
        return LOSSES[loss].value(model(x), y)


@pytest.mark.parametrize("loss", ["ce", "margin"])
def test_a_targeted_attack_goes_where_it_is_told(loss):
    model, (x, _) = network(), images()
    target = torch.full((len(x),), 3)
    found = PGD(epsilon=0.3, step_size=0.05, steps=20, loss=loss, targeted=True)(model, x, target, seeded())
    assert (model(found).argmax(1) == 3).float().mean() > 0.95
    assert (model(x).argmax(1) == 3).float().mean() < 0.5


def test_restarts_only_help_and_keep_what_fools():
    model, (x, y) = network(), images()
    weak = {"epsilon": 0.02, "step_size": 0.01, "steps": 2}
    generator = seeded()
    each = [PGD(**weak)(model, x, y, generator) for _ in range(4)]
    found = PGD(**weak, restarts=4)(model, x, y, seeded())
    fooled = torch.stack([model(one).argmax(1) != y for one in each])
    assert torch.equal(model(found).argmax(1) != y, fooled.any(0))
    best = torch.stack([losses(model, one, y) for one in each]).amax(0)
    same = (fooled.any(0) == fooled.all(0)) & (best < 10)  # all or none fool: then the highest loss counts
    torch.testing.assert_close(losses(model, found, y)[same], best[same])


def test_early_stop_leaves_an_image_where_it_first_fools():
    model, (x, y) = network(), images()
    options = {"epsilon": 0.2, "step_size": 0.01, "random_start": False}
    stopped = PGD(**options, steps=20, early_stop=True)(model, x, y)
    for i in range(0, len(x), 4):
        path = [PGD(**options, steps=k)(model, x[i : i + 1], y[i : i + 1]) for k in range(21)]
        fooled = [bool(model(place).argmax(1) != y[i]) for place in path]
        first = fooled.index(True) if any(fooled) else 20
        torch.testing.assert_close(stopped[i : i + 1], path[first])


@pytest.mark.parametrize(
    "options", [{}, {"loss": "kl"}, {"targeted": True}, {"restarts": 2, "norm": "l2", "epsilon": 0.5}]
)
def test_leaving_out_what_is_fooled_changes_nothing_else(options):
    model, (x, y) = network(), images()
    attack = PGD(**{"epsilon": 0.1, "step_size": 0.02, "steps": 10, "early_stop": True} | options)
    y = (model(x).argmax(1) + attack.targeted) % 5  # so that none is fooled at once
    found = attack(model, x, y, seeded())
    every_image_each_step = replace(attack, attack_mode="train")  # as the network is: in evaluation mode
    torch.testing.assert_close(found, every_image_each_step(model, x, y, seeded()))
    assert 0 < (model(found).argmax(1) == y).sum() < len(x)


def test_what_is_fooled_costs_no_more():
    model = nn.Sequential(nn.Flatten(), nn.Linear(108, 5, bias=False))
    x, _ = images(16)
    right = model(x).argmax(1)
    attack = PGD(steps=4, epsilon=0.0, early_stop=True)
    one = cost(lambda: model(x[:1]))
    assert cost(lambda: attack(model, x, right)) == 2 * 4 * 16 * one
    assert cost(lambda: attack(model, x, (right + 1) % 5)) == 2 * (16 + 3) * one  # one image goes on, see there


def test_falling_steps_add_up():
    class Linear(nn.Module):
        def forward(self, x):
            score = x.flatten(1).sum(1)
            return torch.stack([torch.zeros_like(score), score], dim=1)

    x = torch.full((1, 1, 2, 2), 0.2)
    attack = PGD(epsilon=0.7, step_size=0.1, steps=4, random_start=False, step_rule="linear")
    moved = attack(Linear(), x, torch.tensor([0])) - x
    torch.testing.assert_close(moved, torch.full_like(x, 0.1 * (1 + 0.75 + 0.5 + 0.25)))


def test_a_normal_start_is_small_and_inside():
    x = torch.full((64, 3, 8, 8), 0.5)
    start = PGD(steps=0, initial="normal")(network(), x, torch.zeros(64, dtype=torch.long), seeded())
    assert (start - x).std().item() == pytest.approx(0.001, rel=0.03)
    tight = PGD(epsilon=0.0005, steps=0, initial="normal")(network(), x, torch.zeros(64, dtype=torch.long), seeded())
    assert (tight - x).abs().max() <= 0.0005 + 1e-7


def test_the_divergence_is_raised_from_the_clean_predictions():
    model, (x, y) = network(), images()
    attack = PGD(epsilon=0.1, step_size=0.02, steps=10, loss="kl", initial="normal")
    clean = model(x).log_softmax(1).detach()
    found = attack(model, x, y, seeded())
    assert (losses(model, found, clean, "kl") > 10 * losses(model, x + 0.001, clean, "kl")).float().mean() > 0.9
    assert torch.equal(found, attack(model, x, (y + 1) % 5, seeded()))  # labels play no part


def cost(work):
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


@pytest.mark.parametrize(("options", "passes"), [({"loss": "kl"}, 2 * 3 + 1), ({"restarts": 2}, 2 * (2 * 3 + 1))])
def test_what_the_options_cost(options, passes):
    model = nn.Sequential(nn.Flatten(), nn.Linear(108, 64, bias=False), nn.ReLU(), nn.Linear(64, 5, bias=False))
    x, y = images(16)
    assert cost(lambda: PGD(steps=3, **options)(model, x, y)) == passes * cost(lambda: model(x))


def test_train_mode_attacks_the_batchs_statistics_and_leaves_the_running_ones():
    model, (x, y) = network().train(), images()
    model[4].p = 0.0
    before = {name: value.clone() for name, value in model.state_dict().items()}
    options = {"epsilon": 0.1, "step_size": 0.02, "steps": 3, "random_start": False}
    in_train = PGD(**options, attack_mode="train")(model, x, y)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(module.training for module in model.modules())
    assert not torch.equal(in_train, PGD(**options)(model, x, y))
    # By hand: one step in train mode.
    one = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(nn.functional.cross_entropy(model(one), y, reduction="sum"), one)
    expected = (x + 0.02 * gradient.sign()).clamp(0, 1)
    model.load_state_dict(before)
    found = PGD(**(options | {"steps": 1}), attack_mode="train")(model, x, y)
    torch.testing.assert_close(found, expected)


def test_train_mode_keeps_a_frozen_layer_frozen():
    model, (x, y) = network().train(), images()
    model[1].eval()
    PGD(steps=2, attack_mode="train")(model, x, y)
    assert not model[1].training
    assert model[4].training


def test_the_single_step_attacks():
    model, (x, y) = network(), images()
    clone = x.clone().requires_grad_()
    nn.functional.cross_entropy(model(clone), y, reduction="sum").backward()
    torch.testing.assert_close(fgsm(0.05)(model, x, y), (x + 0.05 * clone.grad.sign()).clamp(0, 1))
    moved = (fgsm_rs(0.05)(model, x, y, seeded()) - x).abs()
    assert moved.max() <= 0.05 + 1e-6
    assert cw_linf(steps=7).loss == "margin"
    assert cw_linf(steps=7).steps == 7


@pytest.mark.parametrize("options", [{"channels_last": True}, {"bf16": True}])
def test_other_ways_to_compute_attack_as_well(options):
    model, (x, y) = network(), images(128)
    plain = PGD(epsilon=0.1, step_size=0.02, steps=10, random_start=False)
    other = PGD(epsilon=0.1, step_size=0.02, steps=10, random_start=False, **options)
    found = other(model, x, y)
    assert found.dtype == torch.float32
    assert (found - x).abs().max() <= 0.1 + 1e-6
    reached, reference = losses(model, found, y).mean(), losses(model, plain(model, x, y), y).mean()
    assert reached == pytest.approx(float(reference), rel=0.01)


@pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is deprecated:DeprecationWarning")  # torch 2.11's own
def test_a_compiled_attack_finds_the_same_images():
    model, (x, y) = network(), images(64)
    options = {"epsilon": 0.1, "step_size": 0.02, "steps": 5}
    plain = PGD(**options)(model, x, y, seeded())
    compiled = PGD(**options, compile=True)
    first = compiled(model, x, y, seeded())
    with torch.compiler.set_stance("fail_on_recompile"):
        again = compiled(model, x, y, seeded())
    assert torch.equal(first, again)
    # A sign flips where a gradient is within rounding of 0; nowhere else.
    assert ((first - plain).abs() > 1e-5).float().mean() < 0.001


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "kl", "random_start": False}, "no gradient at the clean image"),
        ({"loss": "kl", "targeted": True}, "cannot be targeted"),
        ({"loss": "dlr", "targeted": True}, "cannot be targeted"),
        ({"initial": "gauss"}, "unknown initial 'gauss'"),
        ({"restarts": 0}, "restarts must be at least 1"),
        ({"step_rule": "cosine"}, "unknown step_rule"),
        ({"attack_mode": "training"}, "Did you mean 'train'"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message):
    with pytest.raises(lethe.LetheError, match=message):
        PGD(**options)


@pytest.mark.parametrize(
    "attack",
    [PGD(steps=3), PGD(steps=3, norm="l2", epsilon=0.5), CarliniWagnerL2(steps=20, initial_c=10.0, learning_rate=0.1)],
)
def test_an_attack_within_inference_mode_is_the_same(attack):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    x, y = torch.rand(4, 3, 2, 2), torch.arange(4) % 3
    expected = attack(model, x, y, torch.Generator().manual_seed(1))
    with torch.inference_mode():
        found = attack(model, x.clone(), y.clone(), torch.Generator().manual_seed(1))
    assert torch.equal(found, expected)
    assert not torch.equal(found, x)


def test_a_gradient_that_is_no_number_moves_nothing_and_is_told():
    class Root(nn.Module):
        """Of a dark pixel the gradient is no number."""

        def forward(self, x):
            score = torch.where(x > 0, x.sqrt(), 0.0).flatten(1).sum(1)
            return torch.stack([score, 2.0 - score], dim=1)

    x = torch.tensor([0.0, 0.5]).view(2, 1, 1, 1).expand(2, 1, 2, 2).clone()
    found = PGD(norm="l2", epsilon=0.1, step_size=0.1, steps=2, random_start=False)(Root(), x, torch.tensor([1, 0]))
    assert found.isfinite().all()
    assert not torch.equal(found[1], x[1])
    (sign,) = [s for s in signs_in_the_network(Root(), ImageSet(x, torch.tensor([1, 0]), 2), Threat()) if "finite" in s]
    assert "a gradient that is not finite at 50%" in sign
