"""Every recipe through the same trials: a new one is tested by being registered."""

import dataclasses
import inspect
import json
import re
import typing

import pytest
import torch

from lethe.cli import main
from lethe.engine import load_checkpoint
from lethe.recipes import ANYTIME_RECIPES, TRAIN_RECIPES

RECIPES = [("train", name) for name in TRAIN_RECIPES] + [("anytime", name) for name in ANYTIME_RECIPES]
KINDS = {**TRAIN_RECIPES, **ANYTIME_RECIPES}


@dataclasses.dataclass(frozen=True)
class Runs:
    """Run directories of one recipe: seed 0, seed 0 again, seed 1."""

    name: str
    first: object
    again: object
    other: object


@pytest.fixture(scope="module", params=list(KINDS))
def runs(request, tiny, tmp_path_factory):
    folder, kind = tmp_path_factory.mktemp(request.param), KINDS[request.param]
    made = [tiny(kind, folder / str(i), seed=seed).execute()[0] for i, seed in enumerate((0, 0, 1))]
    return Runs(request.param, *made)


def final_weights(directory):
    files = sorted((directory.path / "checkpoints").glob("megabatch-*.pt")) or [directory.checkpoint("last")]
    return load_checkpoint(files[-1])["model"]


def test_a_run_leaves_its_config_environment_metrics_checkpoints_and_summary(runs):
    files = {path.name for path in runs.first.path.iterdir()}
    assert files == {"config.json", "environment.json", "metrics.jsonl", "checkpoints", "summary.json"}
    assert runs.first.config()["recipe"] == runs.first.summary()["recipe"] == runs.name
    assert runs.first.environment()["versions"]["torch"] == torch.__version__
    for line in (runs.first.path / "metrics.jsonl").read_text().splitlines():
        json.loads(line)


def test_its_records_hold_accuracies_between_0_and_1(runs):
    records = runs.first.records()
    measured = [
        (name, value) for r in records for name, value in r.items() if re.search(r"/(clean|robust|accuracy)$", name)
    ]
    assert measured
    assert all(0 <= value <= 1 for _, value in measured)
    assert {"validation/clean", "test/clean", "train/loss"} <= {name for record in records for name in record}


def test_its_checkpoints_load_without_running_code_and_are_finite(runs):
    paths = list((runs.first.path / "checkpoints").iterdir())
    assert paths
    for path in paths:
        weights = torch.load(path, weights_only=True)["model"]
        assert all(torch.isfinite(value).all() for value in weights.values())


def test_the_same_seed_gives_the_same_bits(runs):
    one, two = final_weights(runs.first), final_weights(runs.again)
    assert all(torch.equal(one[name], two[name]) for name in one)
    records = [[{**r, "seconds": 0} for r in run.records()] for run in (runs.first, runs.again)]
    assert records[0] == records[1]


def test_another_seed_gives_other_weights(runs):
    one, other = final_weights(runs.first), final_weights(runs.other)
    assert all(not torch.equal(one[name], other[name]) for name in one if name.endswith("conv1.weight"))


@pytest.mark.parametrize("name", list(KINDS))
def test_it_says_what_it_is_where_it_comes_from_and_what_it_costs(name):
    kind = KINDS[name]
    assert kind.name == name
    assert kind.__doc__ not in (None, kind.__base__.__doc__)
    assert kind.source.strip()
    assert re.search(r"\dF|F\b|as \w+", kind.cost)


def options(kind):
    """(name, help text) of every option, read from the source: the string below each field."""
    for field in dataclasses.fields(kind):
        inner = typing.get_type_hints(kind)[field.name]
        if dataclasses.is_dataclass(inner):
            yield from options(inner)
        else:
            source = inspect.getsource(kind)
            found = re.search(rf'^    {field.name}:[^\n]*\n    """(.*?)"""', source, re.MULTILINE | re.DOTALL)
            assert found, f"{kind.__name__}.{field.name} has no help text"
            yield field.name, found[1]


@pytest.mark.parametrize(("command", "name"), RECIPES)
def test_its_help_names_every_option_and_says_what_it_does(command, name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    assert main([command, name, "--help"]) == 0
    printed = capsys.readouterr()
    words = re.sub(r"[^\w-]", "", printed.out)
    for option, text in options(KINDS[name]):
        assert re.search(rf"--{option.replace('_', '-')}\b", printed.out), option
        assert re.sub(r"[^\w-]", "", text) in words, option
    assert printed.err == ""
