"""A run on folders of one's own knows its classes: the network is whole without them, and other folders are refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

import lethe
from lethe.data import DataConfig, load
from lethe.recipes import load_model

CLASSES = ("ant", "bee", "cat")
SMALL = (
    "--dataset",
    "imagefolder",
    "--data-dir",
    "photos",
    "--image-size",
    "8",
    "--workers",
    "0",
    "--validation-size",
    "3",
)


def write_photos(root, classes):
    random = np.random.default_rng(0)
    for part in ("train", "val"):
        for name in classes:
            folder = Path(root, part, name)
            folder.mkdir(parents=True)
            for number in range(4):
                Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(folder / f"{number}.png")


@pytest.fixture
def run(lethe_command):
    write_photos("photos", CLASSES)
    status, _, errors = lethe_command("train", "sgd", "--out", "run", *SMALL, "--epochs", "2", "--width", "4")
    assert (status, errors) == (0, "")
    return Path("run")


def test_the_network_is_whole_without_the_folders(run, lethe_command):
    x = torch.rand(2, 3, 8, 8)
    before = load_model(run)(x)
    assert before.shape == (2, len(CLASSES))
    shutil.rmtree("photos")
    assert torch.equal(load_model(run)(x), before)
    status, _, errors = lethe_command("export", "run")
    assert (status, errors) == (0, "")
    with safe_open("run/best.safetensors", "pt") as file:
        assert json.loads(file.metadata()["classes"]) == list(CLASSES)


def test_a_run_of_an_earlier_version_counts_them_in_the_folders(run):
    (run / "classes.json").unlink()
    assert load_model(run)(torch.rand(1, 3, 8, 8)).shape == (1, len(CLASSES))


def test_images_are_not_transferred_from_a_network_of_other_classes(run, lethe_command):
    write_photos("others", ("ant", "bee", "dog"))
    small = ["others" if word == "photos" else word for word in SMALL]
    for name, words in (("others-run", small), ("digits-run", ("--train-size", "100"))):
        lethe_command("train", "sgd", "--out", name, *words, "--epochs", "1", "--width", "4")
    told = {"others-run": "'dog' is not there", "digits-run": "has learnt dataset digits, and imagefolder is attacked"}
    for name, message in told.items():
        status, _, errors = lethe_command("evaluate", "run", "--attacks", "transfer", "--transfer-from", name)
        assert (status, errors.count("\n")) == (2, 1)
        assert message in errors
    status, _, errors = lethe_command("evaluate", "run", "--attacks", "transfer", "--transfer-from", "run")
    assert (status, errors) == (0, "")


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (("ant", "bee", "dog"), "'cat' is not there"),
        ((*CLASSES, "dog"), "'dog' is new"),
        (("bee", "cat"), "'ant' is not"),
    ],
)
def test_other_classes_are_not_mistaken_for_those_that_were_learnt(run, lethe_command, other, message):
    write_photos("others", other)
    for target in ("run", "run/checkpoints/best.pt"):
        status, _, errors = lethe_command("evaluate", target, "--data-dir", "others", "--attacks", "fgsm")
        assert (status, errors.count("\n")) == (2, 1)
        assert "the classes in 'others' are not the 3 that 'run' has learnt" in errors
        assert message in errors


def test_a_class_that_is_new_stops_a_run_that_goes_on(run, lethe_command):
    (run / "summary.json").unlink()
    shutil.copytree("photos/train/ant", "photos/train/aardvark")
    shutil.copytree("photos/val/ant", "photos/val/aardvark")
    status, _, errors = lethe_command("train", "--resume", "run")
    assert (status, errors.count("\n")) == (2, 1)
    assert "'aardvark' is new: put the folders back as they were" in errors


def test_a_sweep_does_not_go_on_with_other_classes(run, lethe_command):
    sweep = ("train", "sgd", *SMALL, "--epochs", "1", "--width", "4", "--out", "s")
    assert lethe_command(*sweep, "--seeds", "0:1")[0] == 0
    shutil.rmtree("photos/train/ant")
    shutil.rmtree("photos/val/ant")
    status, _, errors = lethe_command(*sweep, "--seeds", "0:2")
    assert (status, errors.count("\n")) == (2, 1)
    assert "'ant' is not there: choose another --out" in errors
    assert not Path("s/seed1").exists()


def test_runs_of_other_classes_are_in_tables_of_their_own(run, lethe_command):
    write_photos("others", ("dog", "eel", "fox"))
    words = ["others" if word == "photos" else word for word in SMALL]
    assert (
        lethe_command("train", "sgd", "--out", "other", *words, "--epochs", "2", "--width", "4", "--seed", "1")[0] == 0
    )
    _, output, _ = lethe_command("report", "run", "other")
    assert output.count("Test error") == 2


@pytest.mark.parametrize("content", ["[]", '{"classes": []}', "{"])
def test_a_damaged_list_of_classes_is_one_line(run, content):
    (run / "classes.json").write_text(content)
    with pytest.raises(lethe.LetheError, match=r"classes\.json"):
        load_model(run)


def test_a_data_set_whose_name_tells_its_classes_has_no_such_file(train):
    train("sgd", "--out", "run")
    assert not Path("run/classes.json").exists()


def test_a_few_images_of_folders_are_of_all_classes(run, lethe_command):
    """Folders are read class after class: the first three would be ants."""
    status, _, errors = lethe_command("evaluate", "run", "--attacks", "clean", "--images", "3", "--device", "cpu")
    assert (status, errors) == (0, "")
    (path,) = (run / "evaluations").glob("*.json")
    found = json.loads(path.read_text())
    assert found["about"]["chosen"] == "evenly"
    images = load(DataConfig(dataset="imagefolder", data_dir="photos", image_size=8, workers=0, validation_size=3)).test
    with torch.no_grad():
        right = [int(load_model(run)(images[at][0][None]).argmax()) == int(images[at][1]) for at in (2, 6, 10)]
    assert images.labels[[2, 6, 10]].tolist() == [0, 1, 2]
    assert found["right"]["clean"] == "".join(str(int(one)) for one in right)


def test_a_stream_of_folders_in_their_order_says_that_it_chooses_blindly(lethe_command):
    write_photos("photos", CLASSES)
    words = ("anytime", "alma", *SMALL[:-2], "--epochs", "1", "--width", "4", "--megabatches", "2", "--holdout", "0.34")
    for order, said in (("published", True), ("seed", False)):
        status, output, errors = lethe_command(*words, "--order", order, "--out", order)
        assert (status, errors) == (0, "")
        assert ("its best epoch is chosen blindly" in " ".join(output.split())) is said
