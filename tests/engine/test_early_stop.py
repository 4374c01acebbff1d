"""Stop when validation accuracy rises no more, and not before."""

import pytest

import lethe
from lethe.engine import Observer, RunDirectory, load_checkpoint
from lethe.evaluate import EvaluationConfig
from lethe.recipes import ATEMARecipe, SGDRecipe


@pytest.mark.parametrize(
    ("patience", "delta", "accuracies", "stops"),
    [
        (None, 0.0, [0.5] * 99, False),
        (2, 0.0, [0.5, 0.6, 0.6], False),
        (2, 0.0, [0.5, 0.6, 0.6, 0.59], True),
        (2, 0.0, [0.5, 0.6, 0.6, 0.61], False),
        (2, 0.02, [0.5, 0.6, 0.61, 0.62], True),  # 0.62 is not above 0.6 + 0.02
        (2, 0.02, [0.5, 0.6, 0.61, 0.63], False),
        (1, 0.0, [0.0], False),  # the first is better than none
        (1, 0.5, [0.0], False),
        (1, 0.0, [], False),
    ],
)
def test_it_stops_after_so_many_evaluations_without_a_better_one(patience, delta, accuracies, stops):
    assert EvaluationConfig(stop_patience=patience, stop_delta=delta).stops_early(accuracies) is stops


def test_options_out_of_range_are_refused():
    with pytest.raises(lethe.LetheError, match="stop_patience must be at least 1"):
        EvaluationConfig(stop_patience=0)
    with pytest.raises(lethe.LetheError, match="stop_delta must lie in"):
        EvaluationConfig(stop_delta=-0.1)


def accuracies(records):
    return [max(r[k] for k in r if k.endswith("validation/robust") or k == "validation/clean") for r in records]


def test_a_run_stops_there_says_so_and_is_finished(tiny, tmp_path):
    said = []

    class Hears(Observer):
        def say(self, message):
            said.append(message)

    evaluation = EvaluationConfig(stop_patience=2)
    recipe = tiny(SGDRecipe, tmp_path / "run", epochs=40, evaluation=evaluation)
    directory, records = recipe.execute(observer=Hears())
    assert len(records) < 40
    found = accuracies(records)
    assert max(found[:-2]) >= max(found[-2:])
    assert not any(evaluation.stops_early(found[:n]) for n in range(len(found)))
    assert directory.summary()["epochs"] == len(records)
    assert said == [f"stopped early, after epoch {len(records)}: validation accuracy rose no more"]


def test_a_better_stable_model_goes_on(tiny, tmp_path):
    evaluation = EvaluationConfig(stop_patience=1, eval_steps=1)
    _, records = tiny(ATEMARecipe, tmp_path / "run", epochs=12, evaluation=evaluation).execute()
    found = [max(r["validation/robust"], r["stable/validation/robust"]) for r in records]
    assert not any(evaluation.stops_early(found[:n]) for n in range(len(found)))
    assert len(records) == 12 or evaluation.stops_early(found)


def test_a_run_resumed_at_its_last_evaluation_stops_at_the_same_epoch(tiny, tmp_path, assert_same_bits):
    class Stops(Observer):
        def record(self, record):
            if record["epoch"] == 2:
                raise KeyboardInterrupt

    evaluation = EvaluationConfig(stop_patience=2)
    one, two = (tiny(SGDRecipe, tmp_path / n, epochs=40, evaluation=evaluation) for n in ("alone", "stopped"))
    alone, _ = one.execute()
    with pytest.raises(KeyboardInterrupt):
        two.execute(observer=Stops())
    resumed, _ = two.execute(resume=RunDirectory.open(tmp_path / "stopped"))
    assert_same_bits(*(load_checkpoint(run.checkpoint("last")) for run in (alone, resumed)))
