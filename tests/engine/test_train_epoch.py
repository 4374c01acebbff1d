"""One epoch: what its record says, and what it refuses."""

import math

import pytest
import torch

import lethe
from lethe.data import load
from lethe.engine import ScheduleConfig, train_epoch
from lethe.optim import RWPConfig, SGDConfig
from lethe.recipes import ATRecipe, FOMORecipe, RMPRecipe, RWPRecipe, SGDRecipe


def test_the_record_says_what_happened(tiny):
    recipe = tiny(SGDRecipe)
    splits = load(recipe.data)
    training, shares = recipe.build(splits), []
    first = train_epoch(training, splits.train, batch_size=32, on_step=shares.append)
    second = train_epoch(training, splits.train, batch_size=32)
    assert set(first) == {"epoch", "lr", "train/loss", "train/accuracy", "seconds"}
    assert (first["epoch"], second["epoch"], training.epoch) == (1, 2, 2)
    assert first["lr"] == pytest.approx(0.05)
    assert second["lr"] == pytest.approx(0.005)  # tiny has a milestone at half of two epochs
    assert 0 <= first["train/accuracy"] <= 1
    assert (first["train/accuracy"] * 100) == pytest.approx(round(first["train/accuracy"] * 100))
    assert shares == [0.32, 0.64, 0.96, 1.0]
    assert training.model.training


def test_the_schedule_moves_with_every_step_and_the_record_has_the_first_rate(tiny):
    recipe = tiny(SGDRecipe, schedule=ScheduleConfig(epochs=2, batch_size=25, schedule="cosine"))
    splits, seen = load(recipe.data), []
    training = recipe.build(splits)
    training.optimizer.register_step_pre_hook(lambda o, *_: seen.append(o.param_groups[0]["lr"]))
    records = [train_epoch(training, splits.train, batch_size=25) for _ in range(2)]
    assert seen == pytest.approx([0.05 * (1 + math.cos(math.pi * step / 8)) / 2 for step in range(8)])
    assert [record["lr"] for record in records] == [seen[0], seen[4]]


def test_loss_and_accuracy_are_those_of_the_images_trained_on(tiny):
    recipe = tiny(SGDRecipe, sgd=SGDConfig(lr=0.0, weight_decay=0.0))
    splits = load(recipe.data)
    training = recipe.build(splits)
    record = train_epoch(training, splits.train, batch_size=100)
    with torch.no_grad():
        logits = training.model(splits.train.images)  # lr 0: the weights are still those, in training mode
    expected = torch.nn.functional.cross_entropy(logits, splits.train.labels)
    assert record["train/loss"] == pytest.approx(expected.item(), abs=1e-5)
    assert record["train/accuracy"] == pytest.approx((logits.argmax(1) == splits.train.labels).float().mean().item())


def test_an_event_is_recorded(tiny):
    recipe = tiny(FOMORecipe, epochs=4)  # forgets from epoch 1 on, counted from 0
    splits = load(recipe.data)
    training = recipe.build(splits)
    records = [train_epoch(training, splits.train, batch_size=64) for _ in range(2)]
    assert "event" not in records[0]
    assert "forgot" in records[1]["event"]


@pytest.mark.filterwarnings("ignore:overflow")
def test_a_loss_that_is_not_finite_is_a_clear_error(tiny):
    recipe = tiny(SGDRecipe, sgd=SGDConfig(lr=1e30))
    splits = load(recipe.data)
    with pytest.raises(lethe.LetheError, match=r"the loss is (nan|inf) in epoch 1: training has diverged. Lower --lr"):
        train_epoch(recipe.build(splits), splits.train, batch_size=32)


def gradients_of_an_epoch(tiny, **sgd):
    recipe = tiny(SGDRecipe, sgd=SGDConfig(lr=0.0, **sgd))
    splits = load(recipe.data)
    training, norms = recipe.build(splits), []

    def watch(*_):
        gradients = [p.grad.flatten() for p in training.model.parameters()]
        norms.append(float(torch.cat(gradients).norm()))

    training.optimizer.register_step_post_hook(watch)
    train_epoch(training, splits.train, batch_size=50)
    return norms


def test_gradients_are_clipped_to_the_global_norm_that_is_asked_for(tiny):
    free = gradients_of_an_epoch(tiny)
    assert min(free) > 0.1
    assert gradients_of_an_epoch(tiny, clip_norm=0.1) == pytest.approx([0.1] * len(free), rel=1e-3)
    assert gradients_of_an_epoch(tiny, clip_norm=1e6) == free


def test_a_clip_norm_of_nothing_is_refused():
    with pytest.raises(lethe.LetheError, match="clip_norm must be above 0"):
        SGDConfig(clip_norm=0.0)


def test_rwp_climbs_by_the_small_losses_and_steps_with_all(tiny):
    """With a threshold under every loss nothing is pushed, and RWP is adversarial training; not so with a high one."""
    ends = {}
    for name, recipe in {
        "at": tiny(ATRecipe),
        "nothing": tiny(RWPRecipe, rwp=RWPConfig(rwp_threshold=0.0, rwp_steps=2, rwp_gamma=0.1)),
        "all": tiny(RWPRecipe, rwp=RWPConfig(rwp_threshold=100.0, rwp_steps=2, rwp_gamma=0.1)),
    }.items():
        splits = load(recipe.data)
        training = recipe.build(splits)
        record = train_epoch(training, splits.train, batch_size=50)
        ends[name] = (record["train/loss"], next(training.model.parameters()).detach().clone())
    assert torch.equal(ends["at"][1], ends["nothing"][1])
    assert ends["at"][0] == ends["nothing"][0]
    assert not torch.equal(ends["at"][1], ends["all"][1])


def test_a_random_perturbation_draws_from_the_run_and_not_from_torch(tiny):
    ends = []
    for seed in (0, 1):
        recipe = tiny(RMPRecipe)
        splits = load(recipe.data)
        training = recipe.build(splits)
        torch.manual_seed(seed)
        train_epoch(training, splits.train, batch_size=50)
        ends.append(next(training.model.parameters()).detach())
    assert torch.equal(*ends)
