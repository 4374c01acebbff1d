"""Restricted ImageNet: which of the 1,000 classes belong to which group, and that other folders are refused."""

import itertools
import shutil

import pytest
import torch
from PIL import Image

import lethe
from lethe.data import DataConfig, facts, load
from lethe.data._restricted_imagenet import FOURTEEN, GROUPINGS, LANDMARKS, NINE, grouped_folders

SIZES = {  # as the authors' package counts them, and the earlier version's balanced ranges
    9: {"dog": 118, "cat": 5, "frog": 3, "turtle": 5, "bird": 21, "primate": 18, "fish": 9, "crab": 4, "insect": 20},
    14: {name: 5 for name, _, _ in FOURTEEN} | {"monkey": 4},
}


def wnids():
    """1,000 sorted ids with the true ones at the landmarks; those between are made up."""
    places = sorted(LANDMARKS)
    names = []
    for first, last in itertools.pairwise(places):
        start = int(LANDMARKS[first][1:])
        names += [f"n{start + step:08d}" for step in range(last - first)]
    return [*names, LANDMARKS[999]]


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory):
    """Those of a group's ends, and one class that is in none, hold an image that tells the index.

    There are all 1,000 folders to train on, and to test those of the groups, which are enough.
    """
    root = tmp_path_factory.mktemp("imagenet")
    filled = {index for groups in GROUPINGS.values() for _, *ends in groups for index in ends} | {500}
    grouped = {i for groups in GROUPINGS.values() for _, first, last in groups for i in range(first, last + 1)}
    for part in ("train", "val"):
        for index, name in enumerate(wnids()):
            if part == "val" and index not in grouped:
                continue
            (root / part / name).mkdir(parents=True)
            if index in filled:
                colour = (index % 256, index // 256, 0)
                Image.new("RGB", (8, 8), colour).save(root / part / name / "colour.png")
    return root


@pytest.mark.parametrize("count", [9, 14])
def test_groups_do_not_overlap_and_have_the_published_numbers_of_classes(count):
    groups = GROUPINGS[count]
    assert len(groups) == count
    assert {name: last - first + 1 for name, first, last in groups} == SIZES[count]
    inside = [index for _, first, last in groups for index in range(first, last + 1)]
    assert len(inside) == len(set(inside)) == {9: 203, 14: 69}[count]
    assert max(inside) < 1000


def test_landmarks_and_groups_are_those_of_imagenets_own_list():
    """timm ships the 1,000 ids in order; it says what a class is."""
    info = pytest.importorskip("timm.data").ImageNetInfo()
    names = info.label_names()
    assert names == sorted(names)
    for index, wnid in LANDMARKS.items():
        assert names[index] == wnid
    said = {
        ("dog", 151): "chihuahua", ("cat", 285): "egyptian cat", ("frog", 30): "bullfrog",
        ("turtle", 37): "box turtle", ("bird", 100): "black swan", ("primate", 382): "squirrel monkey",
        ("fish", 389): "barracouta", ("crab", 121): "king crab", ("insect", 319): "dragonfly",
    }  # fmt: skip
    for (group, index), words in said.items():
        assert words in info.index_to_description(index).lower()
        assert any(name == group and first <= index <= last for name, first, last in NINE)


@pytest.mark.parametrize("count", [9, 14])
def test_images_get_the_number_of_their_group(imagenet, count):
    config = DataConfig(
        dataset="restricted-imagenet",
        data_dir=str(imagenet),
        restricted_classes=count,
        image_size=8,
        validation_size=0,
        workers=0,
    )
    splits = load(config)
    assert splits.train.classes == facts(config)[0] == count
    assert facts(config)[1:] == (splits.mean, splits.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    for part in (splits.train, splits.test):
        seen = set()
        for image, label in zip(part.images, part.labels.tolist(), strict=True):
            index = int(image[0, 0, 0]) + 256 * int(image[1, 0, 0])
            name, first, last = GROUPINGS[count][label]
            assert first <= index <= last, name
            seen.add(index)
        assert seen == {index for index in filled(imagenet) if any(a <= index <= b for _, a, b in GROUPINGS[count])}
        assert set(part.labels.tolist()) == set(range(count))


def filled(imagenet):
    return {index for index, name in enumerate(wnids()) if any((imagenet / "train" / name).iterdir())}


def test_folders_named_by_index_are_numbered_as_numbers(tmp_path):
    for index in range(1000):
        (tmp_path / str(index)).mkdir()
    found = grouped_folders(tmp_path, 9)
    assert found == {str(index): label for label, (_, a, b) in enumerate(NINE) for index in range(a, b + 1)}


def one_missing(root):
    shutil.rmtree(root / "train" / wnids()[400])


def one_more(root):
    (root / "train" / "n99999999").mkdir()


def another_thousand(root):
    (root / "train" / wnids()[0]).rename(root / "train" / "n00000001")


def words(root):
    for number, path in enumerate(sorted((root / "train").iterdir())):
        path.rename(path.with_name(f"class {number:03d}"))


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (one_missing, "holds 999 class folders, not ImageNet's 1,000"),
        (one_more, "holds 1001 class folders, not ImageNet's 1,000"),
        (another_thousand, "holds 1000 class folders, not ImageNet's 1,000"),
        (words, "holds 1000 class folders, not ImageNet's 1,000"),
        (lambda root: shutil.rmtree(root / "val"), "must hold train and val"),
        (lambda root: shutil.rmtree(root / "val" / LANDMARKS[281]), f"val' has no folder '{LANDMARKS[281]}'"),
        (lambda root: (root / "train" / LANDMARKS[281] / "colour.png").write_bytes(b""), "is empty or leads nowhere"),
        (lambda root: (root / "train" / LANDMARKS[281] / "colour.png").write_bytes(b"x"), "is missing or damaged"),
    ],
)
def test_other_folders_are_refused_in_one_line(imagenet, tmp_path, harm, message):
    root = shutil.copytree(imagenet, tmp_path / "harmed")
    harm(root)
    with pytest.raises(lethe.LetheError, match=message) as error:
        load(DataConfig(dataset="restricted-imagenet", data_dir=str(root), image_size=8, workers=0))
    assert "\n" not in str(error.value)


def test_there_are_two_groupings():
    with pytest.raises(lethe.LetheError, match="restricted_classes must be 9 or 14, got 10"):
        DataConfig(restricted_classes=10)
    with pytest.raises(lethe.LetheError, match="restricted-imagenet needs --data-dir"):
        load(DataConfig(dataset="restricted-imagenet"))


def test_labels_can_be_corrupted_among_the_groups(imagenet):
    options = {"dataset": "restricted-imagenet", "data_dir": str(imagenet), "image_size": 8, "workers": 0}
    clean, noisy = (load(DataConfig(**options, label_noise=share)) for share in (0.0, 0.5))
    assert int((clean.train.labels != noisy.train.labels).sum()) == noisy.noisy_labels > 0
    assert torch.bincount(noisy.train.labels, minlength=9).shape == (9,)
