"""Stop an anytime run anywhere, start it again: the same bits, and no forgetting twice."""

import pytest
import torch

import lethe
from lethe.engine import Observer, RunDirectory, Stopped, load_checkpoint
from lethe.models import ModelConfig
from lethe.recipes import ANYTIME_RECIPES, AlmaRecipe, LureRecipe, StreamConfig


class StopsAtCall(Observer):
    """Interrupts, or asks for a stop, at the so manieth step or record."""

    def __init__(self, call, asks=False):
        self.call, self.asks, self.calls, self.steps = call, asks, 0, []

    def count(self):
        self.calls += 1
        if self.calls == self.call and not self.asks:
            raise KeyboardInterrupt

    def step(self, epochs):
        self.steps.append(epochs)
        self.count()

    def record(self, record):
        self.count()

    def stop_asked(self):
        return self.asks and self.calls >= self.call


def make(tiny, kind, out):
    stream = StreamConfig(megabatches=3)
    return tiny(kind, out, stream=stream, epochs=2, model=ModelConfig(width=4, dropout=0.1))


@pytest.fixture(scope="module", params=list(ANYTIME_RECIPES))
def left_alone(request, tiny, tmp_path_factory):
    """A kind of recipe, a run of it that nobody stopped, and how often it tells its observer something."""
    kind, counter = ANYTIME_RECIPES[request.param], StopsAtCall(0)
    directory, _ = make(tiny, kind, tmp_path_factory.mktemp("alone") / "run").execute(observer=counter)
    return kind, directory, counter.calls


def without_seconds(records):
    return [{name: value for name, value in record.items() if name != "seconds"} for record in records]


@pytest.mark.parametrize("asks", [False, True], ids=["interrupted", "asked"])
def test_stopped_anywhere_and_resumed_it_equals_one_left_alone(left_alone, asks, tiny, tmp_path, assert_same_bits):
    kind, alone, calls = left_alone
    fine = kind in (AlmaRecipe, LureRecipe)  # the others differ from these in one call
    for call in range(1, calls + 1, (2 if asks else 3) if fine else 7):
        recipe = make(tiny, kind, tmp_path / str(call))
        try:
            recipe.execute(observer=StopsAtCall(call, asks))
        except Stopped:
            assert asks
        except KeyboardInterrupt:
            assert not asks
        run = RunDirectory.open(tmp_path / str(call))
        if run.summary() is None:
            _, records = recipe.execute(resume=run)
            assert without_seconds(records) == without_seconds(run.records())
        assert without_seconds(run.records()) == without_seconds(alone.records())
        assert run.summary() == alone.summary()
        names = sorted(path.name for path in (alone.path / "checkpoints").iterdir())
        assert sorted(path.name for path in (run.path / "checkpoints").iterdir()) == names
        for name in names:
            assert_same_bits(*(load_checkpoint(r.path / "checkpoints" / name) for r in (run, alone)))


def test_a_stop_that_was_asked_for_costs_no_step(tiny, tmp_path):
    recipe = make(tiny, LureRecipe, tmp_path / "run")
    first, second = StopsAtCall(6, asks=True), StopsAtCall(0)
    with pytest.raises(Stopped):
        recipe.execute(observer=first)
    recipe.execute(resume=RunDirectory.open(tmp_path / "run"), observer=second)
    assert first.steps[-1] not in second.steps[1:]
    assert second.steps[1] > first.steps[-1]
    assert second.steps[-1] == 6.0


def test_forgetting_that_is_in_the_checkpoint_is_not_done_again(tiny, tmp_path, monkeypatch):
    forgotten = []
    forget = LureRecipe.between

    def counted(self, at):
        if len(at.train) > 2:  # it is also tried out, on a copy and two images, before the run begins
            forgotten.append(len(at.new))
        return forget(self, at)

    monkeypatch.setattr(LureRecipe, "between", counted)
    recipe = make(tiny, LureRecipe, tmp_path / "run")

    class StopsInSecondMegabatch(Observer):
        def step(self, epochs):
            self.epochs = epochs

        def stop_asked(self):
            return self.epochs > 2

    with pytest.raises(Stopped):
        recipe.execute(observer=StopsInSecondMegabatch())
    assert len(forgotten) == 1
    run = RunDirectory.open(tmp_path / "run")
    kept = load_checkpoint(run.checkpoint("last"))["place"]
    assert (kept["megabatch"], kept["begun"]) == (1, True)
    assert "forgot" in kept["event"]
    recipe.execute(resume=run)
    assert len(forgotten) == 2  # before the third
    events = [record["megabatch"] for record in run.records() if "event" in record]
    assert events == [2, 3]


def test_a_run_stopped_before_its_first_checkpoint_begins_anew(tiny, tmp_path):
    recipe = make(tiny, LureRecipe, tmp_path / "run")
    empty = RunDirectory.create(tmp_path / "run", recipe.options(), torch.device("cpu"))
    empty.append({"megabatch": 1, "epoch": 1})  # written, but the checkpoint was not
    recipe.execute(resume=empty)
    alone, _ = make(tiny, LureRecipe, tmp_path / "alone").execute()
    assert without_seconds(empty.records()) == without_seconds(alone.records())


def test_the_last_checkpoint_of_a_stream_can_be_evaluated(tiny, tmp_path):
    run, _ = make(tiny, LureRecipe, tmp_path / "run").execute()
    one, two = (lethe.recipes.load_model(run.path, name) for name in ("last", "megabatch-3"))
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))
