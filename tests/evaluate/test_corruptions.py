"""Corrupted images: by hand, alike whenever they are made, and read from the official files' layout."""

import json
import os

import numpy as np
import pytest
import torch

import lethe
from lethe.data import ImageSet
from lethe.evaluate import (
    Evaluation,
    MadeCorruptions,
    OfficialCorruptions,
    Threat,
    evaluate,
    mean_corruption_accuracy,
    measure_corruptions,
)
from lethe.evaluate._corruptions import CORRUPTIONS
from lethe.evaluate._corruptions import MadeCorruptions as Made
from lethe.evaluate._official_corruptions import STANDARD


def smooth(count, channels=3, size=32):
    """Images of neighbouring pixels that are alike, as a photograph's are."""
    noise = torch.rand(count, channels, 4, 4, generator=torch.Generator().manual_seed(0))
    images = torch.nn.functional.interpolate(noise, (size, size), mode="bilinear")
    return ImageSet(0.2 + 0.6 * images, torch.arange(count) % 3, 3)


def apply(name, pixels, severity):
    """One RGB pixel, as an image of 4×4 alike."""
    x = torch.tensor(pixels).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    return CORRUPTIONS[name](x, severity, torch.Generator().manual_seed(0))[0, :, 0, 0]


def test_colours_by_hand():
    # The value 0.8 rises by 0.1, hue and saturation stay: everything times 9/8.
    torch.testing.assert_close(apply("brightness", [0.8, 0.4, 0.0], 2), torch.tensor([0.9, 0.45, 0.0]))
    assert apply("brightness", [0.0, 0.0, 0.0], 5).tolist() == pytest.approx([0.3] * 3)
    # The saturation 0.5 falls to 0.15: the least channel is 0.8 · (1 - 0.15).
    torch.testing.assert_close(apply("saturate", [0.8, 0.6, 0.4], 1), torch.tensor([0.8, 0.74, 0.68]))
    # ... and at the strongest it is full: 0.5 · 2.5 + 0.2 > 1.
    torch.testing.assert_close(apply("saturate", [0.8, 0.6, 0.4], 5), torch.tensor([0.8, 0.4, 0.0]))
    assert apply("saturate", [0.5, 0.5, 0.5], 5).tolist() == [0.5] * 3
    x = torch.tensor([0.2, 0.6]).view(1, 1, 1, 2)
    torch.testing.assert_close(CORRUPTIONS["contrast"](x, 2, torch.Generator()).flatten(), torch.tensor([0.3, 0.5]))


@pytest.mark.parametrize("name", ["gaussian-blur", "motion-blur", "pixelate", "contrast", "jpeg"])
def test_what_only_mixes_pixels_leaves_an_even_image(name):
    found = apply(name, [0.2, 0.2, 0.2], 5)
    assert found.tolist() == pytest.approx([0.2] * 3, abs=1e-6)


def test_noise_has_the_strength_it_says():
    grey = ImageSet(torch.full((50, 3, 32, 32), 0.5), torch.zeros(50, dtype=torch.long), 3)
    made = MadeCorruptions(grey)
    assert float((made.images("gaussian-noise", 3).images - 0.5).std()) == pytest.approx(0.08, rel=0.02)
    assert float((made.images("shot-noise", 3).images - 0.5).std()) == pytest.approx((0.5 / 100) ** 0.5, rel=0.02)
    hit = made.images("impulse-noise", 5).images
    assert set(hit.unique().tolist()) == {0.0, 0.5, 1.0}
    assert float((hit != 0.5).float().mean()) == pytest.approx(0.07, rel=0.03)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_it_is_worse_at_each_severity_and_alike_each_time(name):
    clean = smooth(20)
    made = MadeCorruptions(clean, seed=3)
    far = []
    for severity in range(1, 6):
        found = made.images(name, severity)
        assert found.images.shape == clean.images.shape
        assert found.images.min() >= 0
        assert found.images.max() <= 1
        assert torch.equal(found.labels, clean.labels)
        assert torch.equal(found.images, MadeCorruptions(clean, seed=3).images(name, severity).images)
        few = MadeCorruptions(clean.subset(list(range(7))), seed=3).images(name, severity)
        assert torch.equal(few.images, found.images[:7])  # however many follow
        far.append(float((found.images - clean.images).square().mean()))
    if name == "pixelate":  # which depends on how the smaller size divides 32
        assert far[4] > far[0]
    elif name != "saturate":  # which washes out at 1 and 2, and saturates at 3 to 5, as the official one
        assert far == sorted(far)
    assert min(far) > 0


def test_another_seed_draws_other_noise():
    images = [MadeCorruptions(smooth(3), seed=seed).images("gaussian-noise", 1).images for seed in (0, 1)]
    assert not torch.equal(*images)


def test_grey_images_are_not_saturated_and_other_channels_are_refused():
    assert "saturate" not in MadeCorruptions(smooth(2, channels=1)).names
    with pytest.raises(lethe.LetheError, match="these have 4 channels"):
        Made(smooth(2, channels=4))
    with pytest.raises(lethe.LetheError, match="severity must be 1, 2, 3, 4 or 5, got 6"):
        MadeCorruptions(smooth(2)).images("jpeg", 6)


class Left(torch.nn.Module):
    """Class 0 where the mean is below a half."""

    def forward(self, x):
        mean = x.flatten(1).mean(1, keepdim=True)
        return torch.cat((0.5 - mean, mean - 0.5), 1)


def test_accuracies_are_kept_and_not_measured_twice(tmp_path):
    data = ImageSet(torch.tensor([0.1, 0.45, 0.9]).view(3, 1, 1, 1).expand(3, 3, 8, 8), torch.tensor([0, 0, 1]), 2)
    path = tmp_path / "found.json"
    evaluation = evaluate(Left(), data, [], Threat(), evaluation=Evaluation.open(path, {}))
    asked = []
    for _ in range(2):
        measure_corruptions(
            Left(), MadeCorruptions(data), evaluation, {"seed": 0}, on_progress=lambda *what: asked.append(what)
        )
        found = evaluation.beside["corruptions"]["found"]
        assert found["brightness"] == [1.0, 2 / 3, 2 / 3, 2 / 3, 2 / 3]  # 0.45 + 0.05 is no longer below a half
        assert found["contrast"] == [1.0] * 5
        evaluation = Evaluation.open(path, {})
    assert [share for _, share in asked].count(1.0) == 2
    assert len(asked) == 5 * len(CORRUPTIONS) + 2  # the second time found them all
    assert mean_corruption_accuracy({"a": [1.0, 0.0], "b": [0.5, 0.5]}) == 0.5
    measure_corruptions(Left(), MadeCorruptions(data, 1), evaluation, {"seed": 1})
    assert evaluation.beside["corruptions"]["made"]["seed"] == 1


@pytest.fixture
def official(tmp_path):
    """The official layout: one file, sparse on the disk, under all names; the first red value is 10 · severity."""
    folder = tmp_path / "CIFAR-10-C"
    folder.mkdir()
    first = folder / f"{STANDARD[0]}.npy"
    pixels = np.lib.format.open_memmap(first, "w+", np.uint8, (50_000, 32, 32, 3))
    for severity in range(5):
        pixels[severity * 10_000, 0, 0, 0] = 10 * (severity + 1)
    pixels.flush()
    for name in STANDARD[1:]:
        os.link(first, folder / f"{name}.npy")
    np.save(folder / "labels.npy", np.tile(np.arange(10_000) % 10, 5).astype(np.uint8))
    return folder


def test_the_official_files_are_read(official):
    for folder in (official, official.parent):
        found = OfficialCorruptions(folder, "cifar10", 12)
        assert len(found.names) == 15
        for severity in range(1, 6):
            images = found.images("fog", severity)
            assert images.images.shape == (12, 3, 32, 32)
            assert int(images.images[0, 0, 0, 0]) == 10 * severity
            assert images.labels.tolist() == [*range(10), 0, 1]
    pooled = OfficialCorruptions(official, "cifar10", 2, image_size=16).images("fog", 5).images
    assert float(pooled[0, 0, 0, 0]) == pytest.approx(50 / 255 / 4)


def test_the_other_archive_is_refused(official):
    (official / "labels.npy").unlink()
    np.save(official / "labels.npy", np.tile(np.arange(10_000) % 100, 5).astype(np.uint8))
    with pytest.raises(lethe.LetheError, match="has labels up to 99, CIFAR-10-C has 10 classes"):
        OfficialCorruptions(official, "cifar10")


def test_official_and_made_ones_lie_side_by_side(official, tmp_path):
    data, path = smooth(2), tmp_path / "found.json"
    evaluation = evaluate(Left(), data, [], Threat(), evaluation=Evaluation.open(path, {}))
    sets = MadeCorruptions(data), OfficialCorruptions(official, "cifar10", 2)
    for corruptions in sets:
        measure_corruptions(Left(), corruptions, evaluation, {"seed": 0, "images": 2})
    again, asked = Evaluation.open(path, {}), []
    assert {name: len(kept["found"]) for name, kept in again.beside.items()} == {
        "corruptions": len(sets[0].names),
        "official corruptions": 15,
    }
    for corruptions in sets:
        measure_corruptions(
            Left(), corruptions, again, {"seed": 0, "images": 2}, on_progress=lambda *what: asked.append(what)
        )
    assert asked == [("corruptions", 1.0)] * 2  # both are there


@pytest.mark.parametrize(("source", "place"), [("CIFAR-10-C", "official corruptions"), ("made here", "corruptions")])
def test_a_file_of_the_first_version_is_read_whichever_it_holds(tmp_path, source, place):
    path = tmp_path / "found.json"
    evaluate(Left(), smooth(2), [], Threat(), evaluation=Evaluation.open(path, {}))
    kept = {"made": {"source": source, "names": ["fog"]}, "found": {"fog": [1.0] * 5}}
    path.write_text(json.dumps({**json.loads(path.read_text()), "corruptions": kept}))
    assert Evaluation.open(path, {}).beside == {place: kept}


def test_what_is_not_the_official_file_is_refused(official):
    with pytest.raises(lethe.LetheError, match="not of svhn"):
        OfficialCorruptions(official, "svhn")
    fog = official / "fog.npy"
    fog.unlink()
    with pytest.raises(lethe.LetheError, match=r"CIFAR-10-C in .* lacks fog\.npy: unpack the official archive"):
        OfficialCorruptions(official, "cifar10")
    np.save(fog, np.zeros((10, 32, 32, 3), np.uint8))
    with pytest.raises(lethe.LetheError, match="not bytes of"):
        OfficialCorruptions(official, "cifar10").images("fog", 1)
    fog.write_bytes((official / "labels.npy").read_bytes()[:5000])
    with pytest.raises(lethe.LetheError, match="cannot be read"):
        OfficialCorruptions(official, "cifar10").images("fog", 1)


def test_a_pickle_in_place_of_a_file_does_not_run(official, tmp_path):
    class Harm:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "harmed"),)

    (official / "fog.npy").unlink()
    np.save(official / "fog.npy", np.array([Harm()], dtype=object), allow_pickle=True)
    with pytest.raises(lethe.LetheError, match="cannot be read"):
        OfficialCorruptions(official, "cifar10").images("fog", 1)
    assert not (tmp_path / "harmed").exists()


def test_an_images_draws_do_not_depend_on_how_many_follow():
    few, more = (MadeCorruptions(smooth(count, size=8)) for count in (251, 252))
    assert torch.equal(smooth(252, size=8).images[:251], smooth(251, size=8).images)
    for name in ("impulse-noise", "gaussian-noise"):
        assert torch.equal(few.images(name, 3).images, more.images(name, 3).images[:251])
