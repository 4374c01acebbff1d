"""One epoch: what its record says, and what it refuses."""

import pytest
import torch

import lethe
from lethe.data import load
from lethe.engine import train_epoch
from lethe.optim import SGDConfig
from lethe.recipes import FOMORecipe, SGDRecipe


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
