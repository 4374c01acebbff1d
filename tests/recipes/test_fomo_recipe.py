"""FOMO from the command line's side: over AWP and AMP, with criteria that look at data, started automatically."""

from dataclasses import replace

import pytest
import torch

import lethe
from lethe.attacks import PGD
from lethe.data import load
from lethe.engine import Observer, RunDirectory, Stopped, flops, load_checkpoint, train_epoch
from lethe.evaluate import EvaluationConfig
from lethe.methods import FOMOConfig
from lethe.objectives import ObjectiveConfig
from lethe.optim import AWPConfig
from lethe.recipes import FOMORecipe
from lethe.recipes._adversarial import WeightsConfig
from lethe.recipes._together import Together

FORGETS = FOMOConfig(start=0.25, period=1, fraction=0.2)


class Asks(Observer):
    """Asks to stop in the middle of the third epoch."""

    def step(self, epochs):
        self.asks = epochs > 2.5

    def stop_asked(self):
        return self.asks


SECTIONS = {
    "awp": {"weights": WeightsConfig(weights="awp"), "awp": AWPConfig(awp_warmup=1)},
    "amp": {"weights": WeightsConfig(weights="amp")},
    "snip, mart": {
        "fomo": replace(FORGETS, criterion="snip", granularity="channels", relearn_lr=0.5, clean_consistency=1.0),
        "robust": ObjectiveConfig(objective="mart"),
    },
    "auto": {"fomo": replace(FORGETS, auto_start=True, patience=1, average="stochastic", reinit="rewind")},
    "phase": {"fomo": replace(FORGETS, average="phase", stable_statistics="recompute", criterion="dormant")},
}


@pytest.mark.parametrize("name", SECTIONS)
def test_a_run_that_stops_in_a_relearning_phase_goes_on_to_the_bit(name, tiny, tmp_path, same_tree):
    alone, records = tiny(FOMORecipe, tmp_path / "alone", epochs=4, **SECTIONS[name]).execute()
    recipe = tiny(FOMORecipe, tmp_path / "run", epochs=4, **SECTIONS[name])
    with pytest.raises(Stopped):
        recipe.execute(observer=Asks())
    _, resumed = recipe.execute(resume=RunDirectory.open(tmp_path / "run"))
    assert [{**r, "seconds": 0} for r in resumed] == [{**r, "seconds": 0} for r in records]
    for path in (alone.path / "checkpoints").iterdir():
        same_tree(load_checkpoint(tmp_path / "run" / "checkpoints" / path.name), load_checkpoint(path))
    if name != "auto":
        assert all(r["event"].startswith("forgot") for r in records[1:])
    if name == "snip, mart":
        assert [r["lr"] for r in records] == pytest.approx([0.05, 0.025, 0.025, 0.025])


@pytest.fixture
def same_tree():
    def check(one, two):
        if isinstance(one, dict):
            assert list(one) == list(two)
            for key in one:
                check(one[key], two[key])
        elif isinstance(one, (list, tuple)):
            for a, b in zip(one, two, strict=True):
                check(a, b)
        elif hasattr(one, "dtype"):
            assert one.equal(two)
        else:
            assert one == two

    return check


def test_the_loop_reads_data_for_a_criterion_only_when_it_forgets(tiny):
    """Otherwise the random streams of runs that need none would be other ones."""
    for criterion, moved in (("magnitude", False), ("snip", True)):
        recipe = tiny(FOMORecipe, epochs=4, fomo=replace(FORGETS, criterion=criterion))
        data = load(recipe.data)
        training = recipe.build(data)
        attacks = []
        prepare = training.objective.prepare

        def noted(model, x, y, generator, prepare=prepare, attacks=attacks):
            attacks.append(generator)
            return prepare(model, x, y, generator)

        training.objective.prepare = noted
        for _ in range(2):
            train_epoch(training, data.train, batch_size=32)
        assert training.method.forgettings == 1
        assert any(g is training.generators["method"] for g in attacks) == moved


@pytest.mark.parametrize(("statistics", "passes"), [("recompute", (10, 11)), ("measure", (9, 10))])
def test_an_epoch_costs_what_the_recipe_says(statistics, passes, tiny):
    """In forward passes F of each image, K = 3: 2K + 3, one to recompute statistics, one more after a forgetting."""
    recipe = tiny(
        FOMORecipe, epochs=4, fomo=replace(FORGETS, stable_statistics=statistics), attack=PGD(steps=3, step_size=0.1)
    )
    data = load(recipe.data)
    training = recipe.build(data)
    with torch.no_grad():
        forward = flops(lambda: training.model.eval()(data.train.images[:1]))
    for expected in passes:
        cost = flops(lambda: train_epoch(training, data.train, batch_size=32))
        # Nobody asks for the gradient of the images in training, which the first convolution's backward would make.
        assert cost == pytest.approx(expected * forward * len(data.train), rel=0.03)


def test_the_validation_accuracy_of_the_working_model_is_observed(tiny, tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(lethe.FOMO, "observe", lambda self, accuracy: told.append(accuracy))
    _, records = tiny(FOMORecipe, tmp_path / "run", epochs=3).execute()
    assert told == [r["validation/robust"] for r in records]
    assert len(told) == 3


def test_a_whole_run_is_not_told_to_observe_what_it_evaluates_later(tiny, tmp_path):
    auto = replace(FORGETS, auto_start=True, patience=1)
    recipe = tiny(
        FOMORecipe, tmp_path / "run", epochs=5, fomo=auto, evaluation=EvaluationConfig(eval_every=2, eval_steps=1)
    )
    assert len(recipe.execute()[1]) == 5  # a warning would be an error here


def test_awp_and_amp_are_what_steps(tiny):
    for weights, kind in (("awp", lethe.AWP), ("amp", lethe.AMP)):
        recipe = tiny(FOMORecipe, weights=WeightsConfig(weights=weights), attack=PGD(steps=1))
        assert isinstance(recipe.build(load(recipe.data)).optimizer, kind)
    with pytest.raises(lethe.LetheError, match="unknown weights 'sam'"):
        WeightsConfig(weights="sam")


def test_awps_warm_up_goes_with_fomo(tiny):
    recipe = tiny(FOMORecipe, epochs=4, **SECTIONS["awp"])
    data = load(recipe.data)
    training, gammas = recipe.build(data), []
    for _ in range(2):
        train_epoch(training, data.train, batch_size=32)
        gammas.append(training.optimizer.param_groups[0]["gamma"])
    assert gammas == [0.0, 0.01]


def test_together_speaks_for_the_first_that_has_something_to_say():
    class Says:
        def __init__(self, word):
            self.stable, self.word, self.heard = word, word, []

        def begin_epoch(self, epoch, batches=None):
            return self.word

        def observe(self, accuracy):
            self.heard.append(accuracy)

    quiet, loud, late = Says(None), Says("loud"), Says("late")
    both = Together(quiet, loud, late)
    assert both.stable == both.begin_epoch(0) == "loud"
    both.observe(0.5)
    assert quiet.heard == late.heard == [0.5]
