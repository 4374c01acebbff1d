"""Tiny ImageNet: its published layout with few and tiny files, and real images of twenty of its classes."""

import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

import lethe
from lethe.data import DataConfig, load
from lethe.data._tiny_imagenet import MEAN, STD, read_tiny_imagenet

NAMES = [f"n{index:08d}" for index in range(200)]


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """200 classes; an image's grey level is that of its class; every second training file has one channel."""
    root = tmp_path_factory.mktemp("data") / "tiny-imagenet-200"
    (root / "val" / "images").mkdir(parents=True)
    lines = []
    for index, name in enumerate(NAMES):
        folder = root / "train" / name / "images"
        folder.mkdir(parents=True)
        colour = Image.new("RGB", (64, 64), (index, index, index))
        colour.save(folder / f"{name}_0.JPEG")
        colour.convert("L").save(folder / f"{name}_1.JPEG")
        (folder.parent / f"{name}_boxes.txt").write_text("")
        other = NAMES[-1 - index]  # files are not in the order of the classes
        Image.new("RGB", (64, 64), (199 - index,) * 3).save(root / "val" / "images" / f"val_{index}.JPEG")
        lines.append(f"val_{index}.JPEG\t{other}\t0\t0\t62\t62\n")
    (root / "val" / "val_annotations.txt").write_text("".join(lines))
    (root / "wnids.txt").write_text("\n".join(reversed(NAMES)))
    return root


def is_its_class(part):
    assert part.images.dtype == torch.uint8
    assert part.images.shape[1:] == (3, 64, 64)
    far = (part.images.long() - part.labels.view(-1, 1, 1, 1)).abs().max()
    assert far <= 2  # JPEG's rounding


def test_the_published_folders_are_read(published):
    for folder in (published, published.parent):
        splits = load(DataConfig(dataset="tiny-imagenet", data_dir=str(folder), validation_size=50))
        assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [350, 50, 200]
        assert splits.train.classes == 200
        for part in (splits.train, splits.validation, splits.test):
            is_its_class(part)
        assert torch.bincount(splits.test.labels).tolist() == [1] * 200


def test_a_validation_folder_that_was_sorted_by_class_is_read_too(published, tmp_path):
    root = Path(shutil.copytree(published, tmp_path / "sorted"))
    for line in (root / "val" / "val_annotations.txt").read_text().splitlines():
        file, name, *_ = line.split("\t")
        (root / "val" / name).mkdir()
        (root / "val" / "images" / file).rename(root / "val" / name / file)
    (root / "val" / "val_annotations.txt").unlink()
    is_its_class(read_tiny_imagenet(str(root), train=False))


def damaged(root):
    path = root / "train" / NAMES[3] / "images" / f"{NAMES[3]}_0.JPEG"
    path.write_bytes(path.read_bytes()[:100])


def large(root):
    Image.new("RGB", (65, 64)).save(root / "train" / NAMES[3] / "images" / f"{NAMES[3]}_0.JPEG")


def unknown(root):
    path = root / "val" / "val_annotations.txt"
    path.write_text(path.read_text().replace(NAMES[7], "n99999999"))


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (damaged, r"n00000003_0\.JPEG' is missing or damaged"),
        (large, "has 65x64 pixels, not 64x64"),
        (unknown, r"line 193 of .*val_annotations\.txt' names no class"),
        (lambda root: shutil.rmtree(root / "train" / NAMES[0]), "has 199 classes, not 200"),
        (lambda root: shutil.rmtree(root / "train" / NAMES[0] / "images"), "no .JPEG images in"),
        (lambda root: (root / "val" / "images" / "val_5.JPEG").unlink(), r"val_5\.JPEG' is missing or damaged"),
        (lambda root: shutil.rmtree(root / "val"), "no train and val in"),
    ],
)
def test_what_is_damaged_or_missing_is_named(published, tmp_path, harm, message):
    root = Path(shutil.copytree(published, tmp_path / "harmed"))
    harm(root)
    with pytest.raises(lethe.LetheError, match=message):
        load(DataConfig(dataset="tiny-imagenet", data_dir=str(root)))


def test_it_is_neither_found_nor_fetched_by_itself():
    with pytest.raises(lethe.LetheError, match="tiny-imagenet needs --data-dir"):
        load(DataConfig(dataset="tiny-imagenet"))
    with pytest.raises(lethe.LetheError, match="cannot be fetched from here"):
        load(DataConfig(dataset="tiny-imagenet", data_dir="x", download=True))


def test_real_images_have_about_the_mean_and_deviation_of_the_whole(tiny_imagenet_folder):
    train, test = (read_tiny_imagenet(tiny_imagenet_folder, train=part, classes=20) for part in (True, False))
    assert torch.bincount(train.labels).tolist() == [500] * 20
    assert torch.bincount(test.labels).tolist() == [50] * 20
    for channel in range(3):
        values = train.images[:, channel].double() / 255
        assert values.mean().item() == pytest.approx(MEAN[channel], abs=0.04)
        assert values.std().item() == pytest.approx(STD[channel], abs=0.03)
