"""`lethe evaluate` on a run, a checkpoint and a bare file of weights."""

import json
from pathlib import Path

import pytest
import torch

import lethe.models

FEW = ("--attacks", "fgsm", "pgd-2", "--images", "20", "--device", "cpu")


@pytest.fixture
def run(train):
    status, _, errors = train("at", "--out", "run", "--steps", "2", "--eval-steps", "2", "--epsilon", "0.1")
    assert (status, errors) == (0, "")
    return Path("run")


def test_a_run_a_checkpoint_and_bare_weights_have_the_same_numbers(run, lethe_command):
    status, output, errors = lethe_command("evaluate", "run", *FEW)
    assert (status, errors) == (0, "")
    assert "PGD-2" in output
    assert "expected calibration error" in output
    (path,) = (run / "evaluations").glob("*.json")
    assert path.name == "best-test20-linf-25.5of255.json"
    found = json.loads(path.read_text())
    assert found["about"]["epsilon"] == 0.1  # the run's own ball
    torch.save(torch.load(run / "checkpoints" / "best.pt", weights_only=True)["model"], "bare.pt")
    for words in (("run/checkpoints/best.pt",), ("bare.pt", "--config", "run/config.json")):
        status, _, errors = lethe_command("evaluate", *words, *FEW, "--out", "other.json")
        assert (status, errors) == (0, "")
        other = json.loads(Path("other.json").read_text())
        assert other["right"] == found["right"]
        Path("other.json").unlink()


@pytest.mark.parametrize("layout", ["--channels-last", "--no-channels-last"])
def test_weights_are_stored_as_asked_and_the_numbers_are_the_same(run, lethe_command, monkeypatch, layout):
    lethe_command("evaluate", "run", *FEW)
    (path,) = (run / "evaluations").glob("*.json")
    stored, inner = [], lethe.models.channels_last
    monkeypatch.setattr(lethe.models, "channels_last", lambda network: stored.append(1) or inner(network))
    status, _, errors = lethe_command("evaluate", "run", *FEW, layout, "--out", "other.json")
    assert (status, errors, len(stored)) == (0, "", int(layout == "--channels-last"))
    found, other = (json.loads(file.read_text()) for file in (path, Path("other.json")))
    assert (other["right"], other["about"]) == (found["right"], found["about"])


def test_a_second_call_runs_only_what_is_new(run, lethe_command):
    lethe_command("evaluate", "run", *FEW)
    status, output, _ = lethe_command("evaluate", "run", *FEW, "--attacks", "fgsm", "pgd-2", "cw-2")
    assert status == 0
    assert "C&W-2: running" in output
    assert "PGD-2: running" not in output
    (path,) = (run / "evaluations").glob("*.json")
    assert set(json.loads(path.read_text())["right"]) == {"clean", "fgsm", "pgd-2", "cw-2"}


@pytest.mark.parametrize(("norm", "attacks"), [("linf", {"fgsm", "pgd-20", "cw-100"}), ("l2", {"pgd-20", "cw-100"})])
def test_attacks_that_go_with_the_ball_are_made_where_none_is_named(train, lethe_command, norm, attacks):
    train("at", "--out", "run", "--steps", "2", "--eval-steps", "2", "--epsilon", "0.1", "--norm", norm)
    status, _, errors = lethe_command("evaluate", "run", "--images", "10", "--device", "cpu")
    assert (status, errors) == (0, "")
    (path,) = Path("run/evaluations").glob("*.json")
    found = json.loads(path.read_text())
    assert found["about"]["norm"] == norm
    assert set(found["right"]) == {"clean", *attacks}


def test_corruptions_and_sharpness_are_measured_shown_and_kept(run, lethe_command):
    words = ("evaluate", "run", "--attacks", "--images", "20", "--sharpness-images", "20", "--device", "cpu")
    status, output, errors = lethe_command(*words, "--corruptions", "--sharpness")
    assert (status, errors) == (0, "")
    shown = " ".join(output.split())
    assert "not comparable with CIFAR-10-C" in shown
    assert "motion-blur" in shown
    assert "worst cross-entropy" in shown
    (path,) = (run / "evaluations").glob("*.json")
    picture = path.with_name(path.stem + "-sharpness.png")
    assert picture.read_bytes().startswith(b"\x89PNG")
    found = json.loads(path.read_text())
    assert len(found["corruptions"]["found"]["jpeg"]) == 5
    assert found["sharpness"]["found"]["worst"] == sorted(found["sharpness"]["found"]["worst"])
    _, output, _ = lethe_command(*words, "--corruptions", "--sharpness")
    assert "sharpness: running" not in output
    assert json.loads(path.read_text()) == found
    lethe_command(*words)  # one that asks for less keeps what there is
    assert json.loads(path.read_text()) == found


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "needs a run directory"),
        ("nowhere", "'nowhere' is neither a run directory nor a file of weights"),
        ("run --attacks pdg-20", "unknown attack 'pdg-20'. Did you mean 'pgd-STEPS'"),
        ("run --images 1000", "images is 1000, but the test part has 60"),
        ("run --checkpoint bset", "has no checkpoint 'bset'"),
        ("run --atacks fgsm", "Did you mean '--attacks'"),
        ("run --attacks transfer", "--transfer-from"),
        ("run --part train", "unknown part 'train'"),
        ("run --norm l2", "say how large the ball is with --epsilon"),
        ("run --corruptions-dir .", "there are official corruptions of cifar10 and cifar100, not of digits"),
        ("run --config run/config.json", "leave --config out"),
        ("run/checkpoints/last.pt --checkpoint last", "leave --checkpoint out"),
        ("weights.pt", "name the config.json of its network with --config"),
    ],
)
def test_mistakes_are_one_line_and_cost_nothing(run, lethe_command, words, message):
    Path("weights.pt").write_bytes(b"")
    status, _, errors = lethe_command("evaluate", *words.split())
    assert status == 2
    assert errors.startswith("lethe: error: ")
    assert errors.count("\n") == 1
    assert message in errors
    assert not (run / "evaluations").exists()


def test_other_weights_under_the_same_name_are_not_taken_for_the_old_ones(run, train, lethe_command):
    assert lethe_command("evaluate", "run", *FEW)[0] == 0
    train("at", "--out", "other", "--steps", "2", "--eval-steps", "2", "--epsilon", "0.1", "--seed", "1")
    (run / "checkpoints" / "best.pt").write_bytes(Path("other/checkpoints/best.pt").read_bytes())
    status, _, errors = lethe_command("evaluate", "run", *FEW)
    assert status == 2
    assert "is of another evaluation" in errors


def test_what_is_made_otherwise_is_made_anew_and_the_rest_is_kept(run, train, lethe_command):
    lethe_command("evaluate", "run", *FEW)
    _, output, _ = lethe_command("evaluate", "run", *FEW, "--step-size", "0.01")
    assert "PGD-2: running" in output
    assert "clean: running" not in output
    status, output, errors = lethe_command(
        "evaluate", "run", "--attacks", "transfer", "--transfer-from", "run", "--images", "20", "--device", "cpu"
    )
    assert (status, errors) == (0, "")
    assert "transfer: running" in output
    (path,) = (run / "evaluations").glob("*.json")
    assert set(json.loads(path.read_text())["right"]) == {"clean", "fgsm", "pgd-2", "transfer"}


def test_of_a_run_with_an_average_the_other_model_is_named(train, lethe_command):
    train("fomo", "--out", "run", "--steps", "1", "--eval-steps", "1")
    words = ("--attacks", "fgsm", "--images", "20", "--device", "cpu")
    _, output, _ = lethe_command("evaluate", "run", *words)
    assert "the stable one: lethe evaluate run --checkpoint best-stable" in output
    _, output, _ = lethe_command("evaluate", "run", *words, "--checkpoint", "last-stable")
    assert "the stable one" not in output
