import pytest
import torch

from lethe.engine import RunDirectory
from lethe.recipes import SGDRecipe
from lethe.report._sections import Curve, Row, Section


@pytest.fixture
def finished_run(tmp_path):
    """Write a finished run by hand: ``finished_run(name, recipe, records)``, with no training."""

    def write(name, recipe=None, records=None, *, finish=True):
        recipe = SGDRecipe() if recipe is None else recipe
        run = RunDirectory.create(tmp_path / name, recipe.options(), torch.device("cpu"))
        for record in records or [{"epoch": 1, "validation/clean": 0.5, "test/clean": 0.4}]:
            run.append(record)
        if finish:
            run.finish({"recipe": recipe.name})
        return run

    return write


@pytest.fixture
def section():
    """A section made by hand: ``section({"SGD": [..], "AMP": [..]})``, with the rows' values of each seed."""

    def make(values, *, higher_is_better=True, measure=("accuracy at the end", "%"), notes=("a note.",)):
        rows = [Row(label, [f"{v[0]:.1f}", str(len(v))], v, list(range(len(v)))) for label, v in values.items()]
        curves = [Curve(label, [1, 2], [[x / 200, x / 100] for x in v], 2) for label, v in values.items()]
        header, axes = ["method", "last", "n"], ("epoch", "test accuracy, %")
        return Section("Accuracy, %", header, rows, axes, curves, measure, higher_is_better, list(notes))

    return make
