"""Folders of images: which files belong to which part and class, and what size they come out at."""

import shutil

import numpy as np
import pytest
import torch
from folders import HIGH, WIDE, picture, write_folder
from PIL import Image

import lethe
from lethe.data import DataConfig, ImageSet, StreamedSet, batches, facts, load
from lethe.data import _image_folder as image_folder
from lethe.data._decode import EXTENSIONS, Decoder


def config(root, **options):
    return DataConfig(**{"dataset": "imagefolder", "data_dir": str(root), "image_size": HIGH, "workers": 0} | options)


def keys(part):
    return {image.numpy().tobytes() for image in part.images}


def as_tensor(image):
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def centre(image):
    """The middle HIGH × HIGH of an image of WIDE × HIGH."""
    side = (WIDE - HIGH) // 2
    return as_tensor(image)[:, :, side : side + HIGH]


def test_images_are_read_with_the_number_of_their_class_in_sorted_order(tmp_path):
    root = write_folder(tmp_path, classes=("cat", "ant", "bee"))
    splits = load(config(root, validation_size=3))
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [15, 3, 9]
    assert splits.train.classes == facts(config(root))[0] == 3
    assert (splits.mean, splits.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    truth = {}
    for part in ("train", "val"):
        for label, name in enumerate(("ant", "bee", "cat")):
            for path in (root / part / name).iterdir():
                truth[centre(Image.open(path)).numpy().tobytes()] = part, label
    for part, folder in ((splits.train, "train"), (splits.validation, "train"), (splits.test, "val")):
        assert type(part) is ImageSet
        assert (part.images.dtype, part.shape) == (torch.uint8, (3, HIGH, HIGH))
        for image, label in zip(part.images, part.labels.tolist(), strict=True):
            assert truth[image.numpy().tobytes()] == (folder, label)
    assert not keys(splits.train) & keys(splits.validation)


@pytest.mark.parametrize(("size", "upright"), [((40, 30), False), ((30, 40), True), ((60, 60), False)])
def test_the_shorter_side_is_resized_and_the_centre_kept(tmp_path, size, upright):
    """A left half of one grey and a right of another, or upper and lower: the edge stays in the middle."""
    pixels = np.full((size[1], size[0], 3), 40, dtype=np.uint8)
    if upright:
        pixels[size[1] // 2 :] = 200
    else:
        pixels[:, size[0] // 2 :] = 200
    Image.fromarray(pixels).save(tmp_path / "edge.png")
    out = Decoder(size=10, short_side=20)(str(tmp_path / "edge.png"))
    assert (out.shape, out.dtype) == ((3, 10, 10), torch.uint8)
    out = out.transpose(1, 2) if upright else out
    assert (out[:, :, :4] == 40).all()
    assert (out[:, :, 6:] == 200).all()


def test_an_image_of_the_asked_size_comes_out_as_it_is(tmp_path):
    picture(1, (12, 12)).save(tmp_path / "a.png")
    assert torch.equal(Decoder(12, 12)(str(tmp_path / "a.png")), as_tensor(picture(1, (12, 12))))


@pytest.mark.parametrize("extension", [e for e in EXTENSIONS if e not in (".pgm",)])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_every_format_and_grey_images_are_read_as_rgb(tmp_path, extension, mode):
    path = tmp_path / f"image{extension.upper()}"
    made = Image.new(mode, (12, 12), 90 if mode == "L" else (90, 90, 90))
    made.save(path, format={".ppm": "PPM", ".jpg": "JPEG", ".tif": "TIFF"}.get(extension))
    out = Decoder(12, 12)(str(path))
    assert out.shape == (3, 12, 12)
    assert (out.int() - 90).abs().max() <= 2


@pytest.mark.parametrize("mode", ["RGBA", "P", "LA", "CMYK", "1"])
def test_other_modes_become_rgb(tmp_path, mode):
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    picture(3, (12, 12)).convert(mode).save(path)
    assert Decoder(12, 12)(str(path)).shape == (3, 12, 12)


@pytest.mark.parametrize("extension", ["png", "tif"])
def test_of_sixteen_bits_the_higher_eight_count(tmp_path, extension):
    path = tmp_path / f"a.{extension}"
    levels = np.array([[0, 255], [256, 65535]], dtype=np.uint16).repeat(6, 0).repeat(6, 1)
    Image.fromarray(levels).save(path)
    assert Decoder(12, 12)(str(path))[0, ::6, ::6].tolist() == [[0, 0], [1, 255]]


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_pixels_whose_range_nobody_says_are_refused(tmp_path, kind):
    Image.fromarray(np.full((12, 12), 1, dtype=kind)).save(tmp_path / "a.tif")
    with pytest.raises(lethe.LetheError, match=r"a\.tif' has pixels of 32 bits: save it with 8 or 16"):
        Decoder(12, 12)(str(tmp_path / "a.tif"))


def test_other_files_hidden_ones_and_folders_within_are_as_torchvision_has_them(tmp_path):
    from torchvision.datasets import ImageFolder

    root = write_folder(tmp_path)
    (root / "train" / "bee" / "notes.txt").write_text("not an image")
    (root / "train" / "bee" / "images").mkdir()
    picture(99).save(root / "train" / "bee" / "images" / "deep.PNG")
    part = image_folder.read_part(root / "train", {"ant": 0, "bee": 1, "cat": 2}, 3, Decoder(8, 8), 0)
    theirs = ImageFolder(root / "train")
    assert sorted(zip(part.paths, part.labels.tolist(), strict=True)) == sorted(theirs.samples)
    (root / "train" / "bee" / ".thumbnail.png").write_bytes(b"what a file browser leaves there")
    (root / "train" / ".ipynb_checkpoints").mkdir()
    assert (
        image_folder.read_part(root / "train", {"ant": 0, "bee": 1, "cat": 2}, 3, Decoder(8, 8), 0).paths == part.paths
    )
    assert image_folder.class_names(root / "train") == ["ant", "bee", "cat"]


def test_a_test_folder_is_the_test_set_and_val_beside_it_the_validation_set(tmp_path):
    root = write_folder(tmp_path, counts={"train": 4, "val": 2, "test": 3})
    splits = load(config(root))
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [12, 6, 9]
    for part, folder in ((splits.train, "train"), (splits.validation, "val"), (splits.test, "test")):
        assert keys(part) == {centre(Image.open(p)).numpy().tobytes() for p in (root / folder).glob("*/*.png")}
    fewer = load(config(root, validation_size=4, train_size=5, test_size=6))
    assert [len(part) for part in (fewer.train, fewer.validation, fewer.test)] == [5, 4, 6]
    with pytest.raises(lethe.LetheError, match="validation_size is 7, but only 6"):
        load(config(root, validation_size=7))
    shutil.rmtree(root / "val")
    splits = load(config(root))
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [11, 1, 9]


def test_the_size_is_224_out_of_256_unless_it_is_said(tmp_path):
    assert config(tmp_path, image_size=None).decoder() == Decoder(224, 256)
    assert config(tmp_path, image_size=224).decoder() == Decoder(224, 256)
    assert config(tmp_path, image_size=64).decoder() == Decoder(64, 64)
    assert config(tmp_path, image_size=64, short_side=70).decoder() == Decoder(64, 70)


def test_what_is_too_large_for_memory_and_random_crops_are_streamed(tmp_path, monkeypatch):
    root = write_folder(tmp_path)
    kept = load(config(root, validation_size=3))
    cropped = load(config(root, validation_size=3, augment="random-resized-crop"))
    assert [type(p) for p in (cropped.train, cropped.validation, cropped.test)] == [StreamedSet, ImageSet, ImageSet]
    monkeypatch.setattr(image_folder, "IN_MEMORY", 9 * 3 * HIGH**2)
    some = load(config(root, validation_size=3, label_noise=0.4))
    assert [type(p) for p in (some.train, some.validation, some.test)] == [StreamedSet, ImageSet, ImageSet]
    assert str(some) == "15 training, 3 validation, 9 test images of 3x30x30; 6 training labels corrupted"
    assert torch.equal(some.train.images, kept.train.images)
    assert torch.equal(load(config(root, validation_size=3)).train.labels, kept.train.labels)
    assert int((some.train.labels != kept.train.labels).sum()) == 6


def test_validation_and_test_images_are_never_augmented(tmp_path):
    options = config(write_folder(tmp_path), validation_size=3, augment="random-resized-crop")
    splits, plain = load(options), load(config(tmp_path, validation_size=3))
    for part in ("validation", "test"):
        (x, _), (y, _) = (next(batches(getattr(s, part), 9, augment=options.augmentation())) for s in (splits, plain))
        assert torch.equal(x, y)


def no_train(root):
    shutil.rmtree(root / "train")


def no_test(root):
    shutil.rmtree(root / "val")


def one_class(root):
    shutil.rmtree(root / "train" / "ant")
    shutil.rmtree(root / "train" / "bee")


def class_less(root):
    shutil.rmtree(root / "val" / "bee")


def class_more(root):
    (root / "val" / "bees").mkdir()


def no_images(root):
    for path in (root / "train" / "bee").iterdir():
        path.rename(path.with_suffix(".gif"))


def empty_file(root):
    (root / "train" / "bee" / "2.png").write_bytes(b"")


def dead_link(root):
    (root / "train" / "bee" / "2.png").unlink()
    (root / "train" / "bee" / "2.png").symlink_to(root / "nowhere.png")


def truncated(root):
    path = root / "val" / "bee" / "2.png"
    path.write_bytes(path.read_bytes()[:1500])


def truncated_jpeg(root):
    path = root / "val" / "bee" / "2.jpg"
    picture(1).save(path)
    path.write_bytes(path.read_bytes()[:-700])


def no_picture(root):
    (root / "val" / "bee" / "2.png").write_text("<html>404 Not Found</html>")


def damaged_inside(root):
    path = root / "val" / "bee" / "2.png"
    content = bytearray(path.read_bytes())
    content[200:900] = bytes(700)
    path.write_bytes(bytes(content))


def a_loop(root):
    (root / "train" / "bee" / "again").symlink_to(root / "train", target_is_directory=True)


def one_test_class(root):
    class_less(root)
    shutil.rmtree(root / "val" / "ant")


def a_bomb(root):
    """A header that claims more pixels than any memory holds."""
    huge = b"P6 100000 100000 255\n" + b"x" * 100
    (root / "val" / "bee" / "2.ppm").write_bytes(huge)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (no_train, "must hold train and val"),
        (no_test, "must hold train and val"),
        (one_class, "train' has 1 class folders"),
        (class_less, "val' has no folder 'bee', which train has"),
        (one_test_class, "val' has no folder 'ant', which train has"),
        (a_loop, r"again.bee' leads back to a folder that it is in: remove the link"),
        (class_more, "val' has a folder 'bees', which train does not have"),
        (no_images, "no image in .*train.bee'"),
        (empty_file, r"train.bee.2\.png' is empty or leads nowhere"),
        (dead_link, r"train.bee.2\.png' is empty or leads nowhere"),
        (truncated, r"val.bee.2\.png' is missing or damaged"),
        (truncated_jpeg, r"val.bee.2\.jpg' is missing or damaged"),
        (no_picture, r"val.bee.2\.png' is missing or damaged"),
        (damaged_inside, r"val.bee.2\.png' is missing or damaged"),
        (a_bomb, r"val.bee.2\.ppm' is missing or damaged"),
    ],
)
def test_what_is_damaged_or_missing_is_named_in_one_line(tmp_path, harm, message):
    root = write_folder(tmp_path)
    harm(root)
    with pytest.raises(lethe.LetheError, match=message) as error:
        load(config(root))
    assert "\n" not in str(error.value)


def test_a_class_without_test_images_may_have_an_empty_folder(tmp_path):
    root = write_folder(tmp_path)
    for path in (root / "val" / "bee").iterdir():
        path.unlink()
    assert load(config(root)).test.labels.tolist() == [0, 0, 0, 2, 2, 2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data_dir": None}, "imagefolder needs --data-dir"),
        ({"download": True}, "imagefolder cannot be fetched"),
        ({"image_size": 0}, "image_size must be at least 1"),
        ({"workers": -1}, "workers must be at least 0"),
        ({"image_size": 32, "short_side": 31}, "short_side is 31, less than image_size, 32"),
        ({"dataset": "cifar10", "short_side": 40}, "short_side is of image folders, not of cifar10"),
        ({"augment": "autoaugment"}, "AutoAugment has no policy for imagefolder"),
        ({"train_size": 1000}, "train_size is 1000, but only 17"),
    ],
)
def test_options_that_cannot_be_are_refused(tmp_path, options, message):
    write_folder(tmp_path)
    with pytest.raises(lethe.LetheError, match=message):
        load(config(tmp_path, **options))


def test_the_name_alone_does_not_tell_the_classes():
    for name in ("imagefolder", "restricted-imagenet"):
        with pytest.raises(lethe.LetheError, match=f"how many classes {name} has"):
            facts(name)
