"""`lethe anytime`: learners with their options, and what comes after a run."""

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file

from lethe.engine import RunDirectory

SMALL = (
    *("--train-size", "80", "--test-size", "40", "--width", "4", "--epochs", "1", "--megabatches", "2"),
    *("--batch-size", "32", "--lr", "0.05", "--device", "cpu"),
)


def test_the_final_model_is_evaluated_and_exported_where_nothing_else_is_said(lethe_command):
    assert lethe_command("anytime", "alma", *SMALL, "--out", "run")[0] == 0
    status, output, errors = lethe_command("evaluate", "run", "--attacks", "fgsm", "--corruptions")
    assert (status, errors) == (0, "")
    assert "alma, megabatch-2 (40 test images, linf, epsilon 8/255)" in " ".join(output.split())
    (path,) = Path("run/evaluations").iterdir()
    found = json.loads(path.read_text())
    assert found["about"]["checkpoint"] == "megabatch-2"
    assert found["corruptions"]["found"]
    assert found["clean accuracy"] == RunDirectory.open(Path("run")).records()[-1]["test/clean"]
    status, output, _ = lethe_command("export", "run")
    assert (status, output) == (0, "written: run/megabatch-2.safetensors\n")
    assert load_file("run/megabatch-2.safetensors")


def test_learners_are_compared_with_errors_costs_and_curves(lethe_command):
    for seed in "01":
        for name in ("alma", "random-forgetting"):
            words = ("anytime", name, *SMALL, "--seed", seed, "--out", f"runs/{name}{seed}")
            assert lethe_command(*words)[0] == 0
    status, _, errors = lethe_command("report", "runs", "--out", "report")
    assert (status, errors) == (0, "")
    table = Path("report/table.md").read_text()
    for column in ("errors, images", "errors, %", "final, %", "speed, %", "TFLOPs"):
        assert f"| {column} " in table
    assert "### Cumulative error, minus that of ALMA (warm start)" in table
    assert Path("report/curves.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("alma --epsilon 0.1", "epsilon is of adversarial training: add --adversarial"),
        ("lure --rho 0.1", "rho is of SAM: add --optimizer-rule sam"),
        ("lure --official --ties first", "official looks at 100 images, in one ranking, and forgets all ties"),
        ("llf --from-layer layer4", "no parameter's name contains 'layer4'"),
        ("llf --official", "the published list of later layers is a ResNet-18's"),
        ("lure --forget-only head.*", "the pattern 'head.*' matches no parameter"),
        ("scratch --scratch-weights old", "unknown scratch_weights 'old'"),
        ("fomo", "'fomo' is a recipe of lethe train"),
        ("rifle --published", "no published settings for 'rifle'"),
        ("alma --model vgg16", "this network cannot take images of 1x8x8"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing_behind(lethe_command, words, message):
    status, _, errors = lethe_command("anytime", *words.split(), "--train-size", "80", "--test-size", "40")
    assert (status, errors.count("\n")) == (2, 1)
    assert message in errors
    assert not Path("runs").exists()
