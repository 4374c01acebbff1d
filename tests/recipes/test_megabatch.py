"""What a megabatch begins with: momentum, learning rate and schedule, fresh or carried over from the one before."""

import pytest
import torch

from lethe.data import load
from lethe.engine import ScheduleConfig, generators
from lethe.engine._schedule import StepScheduler
from lethe.methods import LLFConfig, LUREConfig, ScratchConfig, ShrinkPerturbConfig
from lethe.models import ModelConfig
from lethe.recipes import AlmaRecipe, LLFRecipe, LureRecipe, ScratchRecipe, ShrinkPerturbRecipe
from lethe.recipes._anytime import LearningConfig
from lethe.recipes._megabatch import MegabatchConfig, last_rates


@pytest.mark.parametrize(
    ("kind", "section"),
    [
        (LureRecipe, {"lure": LUREConfig(official=True)}),
        (ScratchRecipe, {"scratch": ScratchConfig(official=True)}),
        (ShrinkPerturbRecipe, {"shrink_perturb": ShrinkPerturbConfig(official=True)}),
        (LLFRecipe, {"llf": LLFConfig(official=True)}),
    ],
)
def test_officially_one_optimizer_goes_through_all_megabatches_and_the_config_says_so(kind, section):
    assert kind(**section).carrying().optimizer_state == "carried"
    assert kind(**section).resolved().options()["megabatch"]["optimizer_state"] == "carried"
    assert kind().resolved().options()["megabatch"]["optimizer_state"] == "fresh"


def two_megabatches(recipe, images=64):
    """What trains the first megabatch after its last step, and what trains the second."""
    splits = load(recipe.data)
    starts = recipe.starts(generators(0))
    model = recipe.network(splits)
    first = starts(model, images, 0)
    x, y = splits.train.images[:8], splits.train.labels[:8]
    for _ in range(recipe.schedule.epochs * 2):

        def closure():
            first.optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(x), y)
            loss.backward()
            return loss

        first.optimizer.step(closure)
        first.scheduler.step()
    return first, starts(model, images, 1)


@pytest.mark.parametrize("rule", ["sgd", "amp", "sam"])
@pytest.mark.parametrize("state", ["fresh", "carried"])
def test_momentum_is_fresh_or_carried(rule, state, tiny):
    config, learning = MegabatchConfig(optimizer_state=state), LearningConfig(optimizer_rule=rule)
    first, second = two_megabatches(tiny(AlmaRecipe, megabatch=config, learning=learning))
    carried = {
        p: s["momentum_buffer"] for p, s in second.optimizer.state.items() if s.get("momentum_buffer") is not None
    }
    if state == "fresh":
        assert carried == {}
    else:
        assert len(carried) == len(list(second.model.parameters()))
        assert all(torch.equal(first.optimizer.state[p]["momentum_buffer"], buffer) for p, buffer in carried.items())
    assert second.optimizer.param_groups[0]["lr"] == 0.05  # where the first megabatch ended at 0.0005


@pytest.mark.parametrize(
    ("lr_state", "schedule_state", "rates"),
    [
        ("fresh", "fresh", [0.05, 0.05, 0.005, 0.0005]),
        ("carried", "fresh", [0.0005, 0.0005, 0.00005, 0.000005]),
        ("fresh", "carried", [0.05] * 4),
        ("carried", "carried", [0.0005] * 4),
    ],
)
def test_learning_rate_and_schedule_are_fresh_or_carried(lr_state, schedule_state, rates, tiny):
    config = MegabatchConfig(lr_state=lr_state, schedule_state=schedule_state)
    recipe = tiny(AlmaRecipe, epochs=4, megabatch=config)
    _, second = two_megabatches(recipe)
    found = []
    for _ in range(4):
        found.append(second.optimizer.param_groups[0]["lr"])
        for _ in range(2):
            second.optimizer.step(lambda: None)
            second.scheduler.step()
    assert found == pytest.approx(rates)


def test_a_megabatch_that_is_begun_twice_carries_over_once():
    """Where its number of images becomes known only when it arrives."""
    schedule = ScheduleConfig(epochs=2, warmup=1.0, milestones=(0.5,))
    recipe = AlmaRecipe(
        schedule=schedule,
        megabatch=MegabatchConfig(optimizer_state="carried", lr_state="carried"),
        model=ModelConfig(width=4),
    )
    model = recipe.network(load(recipe.data))
    starts = recipe.starts(generators(0))
    first = starts(model, 1000, 0)
    for _ in range(16):
        first.optimizer.step(lambda: None)
        first.scheduler.step()
    assert last_rates(first.scheduler) == pytest.approx([0.01])
    once = starts(model, 1000, 1).scheduler.base_lrs
    again = starts(model, 1300, 1)
    assert isinstance(again.scheduler, StepScheduler)
    assert again.scheduler.base_lrs == once == pytest.approx([0.01])
