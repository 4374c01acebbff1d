"""A study's runs, kept in one file, give the table that the runs themselves give."""

import importlib.util
import json
from pathlib import Path

import pytest

from lethe.cli import main
from lethe.evaluate import EvaluationConfig
from lethe.recipes import FOMORecipe

SCRIPT = Path(__file__).parents[2] / "results" / "records.py"


@pytest.fixture(scope="module")
def records():
    spec = importlib.util.spec_from_file_location("records", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def study(tiny, tmp_path_factory):
    """Two finished runs, one of them evaluated, and one that was stopped at once."""
    folder = tmp_path_factory.mktemp("study") / "runs"
    for seed in (0, 1):
        rarely = EvaluationConfig(eval_every=2, eval_steps=2)  # so that some epochs are not kept
        tiny(FOMORecipe, folder / f"fomo-seed{seed}", seed=seed, epochs=4, evaluation=rarely).execute()
    assert main(["evaluate", str(folder / "fomo-seed0"), "--attacks", "fgsm", "--images", "20"]) == 0
    (folder / "stopped").mkdir()
    (folder / "stopped" / "config.json").write_text("{}")
    return folder


def test_a_table_of_unpacked_runs_is_that_of_the_runs(records, study, tmp_path, capsys):
    file, again = tmp_path / "runs.jsonl", tmp_path / "again"
    records.pack(study, file)
    records.unpack(file, again)
    assert sorted(run.name for run in again.iterdir()) == ["fomo-seed0", "fomo-seed1"]
    whole, kept = ((folder / "fomo-seed0" / "metrics.jsonl").read_text().splitlines() for folder in (study, again))
    assert (len(whole), len(kept)) == (4, 2)
    texts = []
    for folder in (study, again):
        out = tmp_path / f"table-of-{folder.name}"
        assert main(["report", str(folder), "--out", str(out)]) == 0
        texts.append((out / "table.md").read_text())
    assert texts[0] == texts[1]
    evaluated = [next((folder / "fomo-seed0" / "evaluations").glob("*.json")) for folder in (study, again)]
    assert evaluated[0].name == evaluated[1].name
    assert json.loads(evaluated[0].read_text()) == json.loads(evaluated[1].read_text())


@pytest.mark.parametrize(("bits", "short"), [("0010", "4:2"), ("1", "1:1"), ("00000", "5:0"), ("111101", "6:3d")])
def test_a_row_of_bits_is_kept_as_its_length_and_a_number(records, bits, short):
    assert records._short(bits) == short
    assert records._bits(short) == bits


def test_packing_adds_to_what_was_kept_and_unpacking_leaves_what_is_there(records, study, tmp_path):
    file, some = tmp_path / "runs.jsonl", tmp_path / "some"
    records.pack(study, file)
    records.unpack(file, some)
    (some / "fomo-seed0" / "summary.json").write_text('{"mine": true}\n')
    records.unpack(file, some)
    assert json.loads((some / "fomo-seed0" / "summary.json").read_text()) == {"mine": True}
    (some / "fomo-seed1").rename(some / "fomo-seed2")
    records.pack(some, file)  # of fomo-seed1 there is no run any more, but a line
    kept = [json.loads(line) for line in file.read_text().splitlines()]
    assert [record["name"] for record in kept] == ["fomo-seed0", "fomo-seed1", "fomo-seed2"]
    assert kept[0]["summary"] == {"mine": True}


def test_runs_made_again_are_compared_to_the_digit(records, study, tmp_path, capsys):
    file = tmp_path / "runs.jsonl"
    records.pack(study, file)
    capsys.readouterr()
    records.compare(study, file)
    assert capsys.readouterr().out == f"{study}: 2 of 2 runs are those of {file}\n"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    lines[1]["metrics"][0]["stable/test/robust"] += 1e-9
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    records.compare(study, file)
    assert capsys.readouterr().out == f"{study}: 1 of 2 runs are those of {file}\nfomo-seed1\n"


def test_a_run_that_evaluated_no_epoch_is_packed(records, study, tmp_path):
    runs = tmp_path / "runs"
    records.pack(study, tmp_path / "some.jsonl")
    records.unpack(tmp_path / "some.jsonl", runs)
    (runs / "fomo-seed1" / "metrics.jsonl").write_text('{"epoch": 1}\n')
    records.pack(runs, tmp_path / "runs.jsonl")
    lines = (tmp_path / "runs.jsonl").read_text().splitlines()
    assert [json.loads(line)["metrics"] == [] for line in lines] == [False, True]


def test_a_run_made_again_keeps_its_recorded_evaluations_unless_it_measured_something_else(records, study, tmp_path):
    file, again = tmp_path / "runs.jsonl", tmp_path / "again"
    records.pack(study, file)
    recorded = json.loads(file.read_text().splitlines()[0])["evaluations"]
    records.unpack(file, again)
    evaluations, metrics = again / "fomo-seed0" / "evaluations", again / "fomo-seed0" / "metrics.jsonl"
    for path in evaluations.iterdir():
        path.unlink()
    (evaluations / "another.json").write_text('{"made": "again"}')
    records.pack(again, file)
    kept = json.loads(file.read_text().splitlines()[0])["evaluations"]
    assert kept == recorded | {"another.json": {"made": "again"}}
    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    lines[0]["stable/test/robust"] += 1e-9
    metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
    records.pack(again, file)
    assert list(json.loads(file.read_text().splitlines()[0])["evaluations"]) == ["another.json"]
