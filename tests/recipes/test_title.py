"""The line that a run begins with."""

import pytest

from lethe.data import DataConfig
from lethe.engine import RunConfig, ScheduleConfig
from lethe.models import ModelConfig
from lethe.recipes import FOMORecipe, LureRecipe
from lethe.recipes._stream import StreamConfig


def test_it_says_what_is_trained_on_what_for_how_long():
    options = {"data": DataConfig(dataset="cifar10"), "schedule": ScheduleConfig(epochs=7), "run": RunConfig(seed=3)}
    assert FOMORecipe(**options).title() == "fomo on cifar10, small-resnet of width 16, 7 epochs, seed 3"
    model = ModelConfig(model="preact-resnet18")
    assert FOMORecipe(**options, model=model).title() == "fomo on cifar10, preact-resnet18, 7 epochs, seed 3"


@pytest.mark.parametrize(
    ("stream", "said"),
    [
        (StreamConfig(megabatches=5), "5 megabatches"),
        (StreamConfig(megabatch_size=500), "megabatches of 500 images"),
        (StreamConfig(arrivals="incoming"), "megabatches that arrive in incoming"),
    ],
)
def test_epochs_are_those_of_each_megabatch(stream, said):
    assert f", 10 epochs on each of the {said}, seed 0" in LureRecipe(stream=stream).title()
