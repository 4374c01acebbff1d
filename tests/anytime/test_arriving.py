"""Megabatches that arrive as files: in order, whole, and never the damaged ones."""

import io
import logging
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lethe.anytime import ArrivingMegabatches, Buffer, GrowingBuffer

QUICK = {"poll_seconds": 0.02, "settle_seconds": 0.0}


def arrays(first, count, classes=2):
    """Grey images of 2x2 whose every pixel is the image's number, and labels that alternate."""
    numbers = np.arange(first, first + count)
    images = np.repeat(numbers.astype(np.uint8), 4).reshape(count, 1, 2, 2)
    return {"images": images, "labels": numbers % classes}


def write(folder, name, content):
    np.savez(folder / f".{name}", **content)
    (folder / f".{name}").replace(folder / name)


def pixels(part):
    """The numbers of a part's images."""
    return [round(float(image[0, 0, 0]) * 255) for image, _ in part]


def test_files_are_taken_in_the_order_of_their_names_until_the_end(tmp_path):
    for name, first in (("b.npz", 10), ("a.npz", 0), ("c.npz", 20)):
        write(tmp_path, name, arrays(first, 5))
    (tmp_path / ".d.npz").write_bytes(b"being written")
    (tmp_path / "notes.txt").write_text("not a megabatch")
    (tmp_path / "end").touch()
    stream = ArrivingMegabatches(tmp_path, validation=0.2, seed=None, **QUICK)
    found = [(m.index, pixels(m.train), pixels(m.validation), pixels(m.new)) for m in stream]
    assert found == [
        (0, [0, 1, 2, 3], [4], [0, 1, 2, 3]),
        (1, [10, 11, 12, 13, 0, 1, 2, 3], [14, 4], [10, 11, 12, 13]),
        (2, [20, 21, 22, 23, 0, 1, 2, 3, 10, 11, 12, 13], [24, 4, 14], [20, 21, 22, 23]),
    ]
    assert stream.ended
    image, label = stream.take(1).new[0]
    assert (image.shape, image.dtype, label.dtype, int(label)) == ((1, 2, 2), torch.float32, torch.int64, 0)


@pytest.mark.parametrize(
    ("replay", "trained"),
    [
        ("none", [[0, 1], [10, 11], [20, 21]]),
        ("previous", [[0, 1], [10, 11, 0, 1], [20, 21, 10, 11]]),
        (Buffer(9), [[0, 1], [10, 11, 0, 1], [20, 21, 0, 1, 10, 11]]),
    ],
)
def test_replay_by_hand(tmp_path, replay, trained):
    stream = ArrivingMegabatches(tmp_path, replay=replay, validation=1 / 3, seed=None, **QUICK)
    for index, name in enumerate("abc"):
        assert stream.take(index) is None
        assert not stream.ended
        write(tmp_path, f"{name}.npz", arrays(10 * index, 3))
        megabatch = stream.take(index)
        assert pixels(megabatch.train) == trained[index]
        assert pixels(megabatch.validation)[0] == 10 * index + 2


def test_few_shot_by_hand(tmp_path):
    write(tmp_path, "a.npz", arrays(0, 12))
    megabatch = ArrivingMegabatches(tmp_path, validation=1 / 3, seed=None, shots=1, **QUICK).take(0)
    assert (pixels(megabatch.train), pixels(megabatch.validation)) == ([0, 1], [8, 9])


def test_images_may_have_their_channels_last_or_none(tmp_path):
    coloured = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)
    write(tmp_path, "a.npz", {"images": coloured, "labels": [0, 1]})
    write(tmp_path, "b.npz", {"images": coloured.transpose(0, 3, 1, 2), "labels": [0, 1]})
    stream = ArrivingMegabatches(tmp_path, replay="none", validation=0.0, seed=None, **QUICK)
    first, second = (stream.take(index).train[1][0] for index in range(2))
    assert torch.equal(first, torch.from_numpy(coloured[1]).permute(2, 0, 1) / 255)
    assert torch.equal(first, second)
    grey = tmp_path / "grey"
    grey.mkdir()
    write(grey, "a.npz", {"images": coloured[..., 0], "labels": [0, 1]})
    stream = ArrivingMegabatches(grey, validation=0.0, image_shape=(1, 4, 5), **QUICK)
    assert stream.take(0).train[0][0].shape == (1, 4, 5)


def zipped(content):
    file = io.BytesIO()
    np.savez(file, **content)
    return file.getvalue()


def saved(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def flipped(data):
    at = len(data) // 3
    return data[:at] + bytes([data[at] ^ 255]) + data[at + 1 :]


GOOD = arrays(0, 10)
WHOLE = zipped({"images": np.zeros((40, 8, 8, 1), dtype=np.uint8), "labels": np.zeros(40, dtype=np.int64)})
DAMAGED = {
    "cut short": (WHOLE[:-100], "cannot be read as .npz"),
    "half": (WHOLE[: len(WHOLE) // 2], "cannot be read as .npz"),
    "empty": (b"", "cannot be read as .npz"),
    "text": (b"images, labels", "not an archive of plain arrays"),
    "a flipped bit": (flipped(WHOLE), "cannot be read as .npz"),
    "pickled": (zipped({**GOOD, "labels": np.array([{}] * 10, dtype=object)}), "not an archive of plain arrays"),
    "a single array": (saved(GOOD["images"]), "no array 'images'"),
    "no labels": (zipped({"images": GOOD["images"]}), "no array 'images' or none called 'labels'"),
    "floats": (zipped({**GOOD, "images": GOOD["images"] / 255}), "images are float64, and must be uint8"),
    "another shape": (zipped({**GOOD, "images": np.zeros((10, 1, 3, 3), np.uint8)}), "are 1x3x3, and must be 1x2x2"),
    "two dimensions": (zipped({**GOOD, "images": np.zeros((10, 4), np.uint8)}), r"have the shape \(10, 4\)"),
    "nothing in it": (zipped({"images": GOOD["images"][:0], "labels": []}), r"have the shape \(0, 1, 2, 2\)"),
    "float labels": (zipped({**GOOD, "labels": np.zeros(10)}), "labels are float64 of shape"),
    "too few labels": (zipped({**GOOD, "labels": np.zeros(9, int)}), r"of shape \(9,\), and must be 10 whole"),
    "a label too high": (zipped({**GOOD, "labels": np.full(10, 2)}), "has the label 2, and there are 2 classes"),
    "a label below 0": (zipped({**GOOD, "labels": np.full(10, -1)}), "has the label -1"),
    "too few images": (zipped(arrays(0, 2)), "its 2 images are too few: 1 would be trained on, 1 held out"),
}


@pytest.mark.parametrize("kind", list(DAMAGED))
def test_a_damaged_file_is_told_of_and_set_aside_and_the_next_is_taken(tmp_path, kind):
    content, reason = DAMAGED[kind]
    (tmp_path / "a.npz").write_bytes(content)
    write(tmp_path, "b.npz", arrays(50, 10))
    told = []
    stream = ArrivingMegabatches(tmp_path, image_shape=(1, 2, 2), classes=2, seed=None, **QUICK)
    stream.on_damaged = lambda name, why: told.append((name, why, (tmp_path / name).exists()))
    assert pixels(stream.take(0).train) == list(range(50, 59))
    assert [(name, there) for name, _, there in told] == [("a.npz", True)]
    assert re.search(reason, told[0][1])
    assert (tmp_path / "damaged" / "a.npz").read_bytes() == content
    assert not (tmp_path / "a.npz").exists()


def test_a_second_damaged_file_of_a_name_does_not_replace_the_first_and_both_are_logged(tmp_path, caplog):
    stream = ArrivingMegabatches(tmp_path, **QUICK)
    for content in (b"one", b"two"):
        (tmp_path / "a.npz").write_bytes(content)
        with caplog.at_level(logging.ERROR, "lethe"):
            assert stream.take(0) is None
    assert (tmp_path / "damaged" / "a-2.npz").read_bytes() == b"two"
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    assert "a.npz' is set aside: it cannot be read as .npz" in caplog.text


def test_what_the_published_buffer_cannot_draw_from_is_set_aside(tmp_path):
    write(tmp_path, "a.npz", arrays(0, 10))
    told = []
    stream = ArrivingMegabatches(tmp_path, replay=GrowingBuffer(8), **QUICK)
    stream.on_damaged = lambda *what: told.append(what)
    assert stream.take(0) is None
    assert "draws 8 images" in told[0][1]


def test_a_file_that_is_still_growing_is_waited_for(tmp_path):
    content = zipped(arrays(0, 10))
    file = tmp_path / "a.npz"
    write(tmp_path, "b.npz", arrays(50, 10))
    stream = ArrivingMegabatches(tmp_path, seed=None, poll_seconds=0.02, settle_seconds=60.0)
    for end in (0, 100, len(content) - 1):
        file.write_bytes(content[:end])
        assert stream.take(0) is None
        assert not stream.ended
    file.write_bytes(content)
    assert pixels(stream.take(0).train) == list(range(9))


def test_a_file_that_grows_no_more_is_set_aside(tmp_path):
    (tmp_path / "a.npz").write_bytes(WHOLE[:-1])
    stream = ArrivingMegabatches(tmp_path, poll_seconds=0.02, settle_seconds=0.05)
    assert stream.take(0) is None
    assert (tmp_path / "a.npz").exists()
    time.sleep(0.06)
    assert stream.take(0) is None
    assert (tmp_path / "damaged" / "a.npz").exists()


def test_what_came_before_the_end_is_still_taken_and_a_settling_file_delays_it(tmp_path):
    (tmp_path / "end").touch()
    (tmp_path / "a.npz").write_bytes(WHOLE[:-1])
    stream = ArrivingMegabatches(tmp_path, poll_seconds=0.02, settle_seconds=0.05)
    assert stream.take(0) is None
    assert not stream.ended
    time.sleep(0.06)
    assert stream.take(0) is None
    assert stream.ended


def test_a_stream_ends_when_nothing_arrives_for_long_but_not_while_one_trains(tmp_path):
    stream = ArrivingMegabatches(tmp_path, idle_minutes=0.05 / 60, **QUICK)
    assert stream.take(0) is None
    write(tmp_path, "a.npz", arrays(0, 10))
    assert stream.take(0) is not None
    time.sleep(0.06)  # trains
    assert stream.take(1) is None
    assert not stream.ended
    time.sleep(0.06)
    assert stream.take(1) is None
    assert stream.ended


def test_images_that_are_not_replayed_are_let_go_of_and_read_again_if_need_be(tmp_path):
    for index in range(3):
        write(tmp_path, f"{index}.npz", arrays(20 * index, 20))
    stream = ArrivingMegabatches(tmp_path, replay=Buffer(4), **QUICK)
    megabatches = [stream.take(index) for index in range(3)]
    kept = sum(len(k.rows) for k in stream.dataset._kept.values())
    assert kept == len(set(megabatches[2].train.indices)) + len(megabatches[2].validation)
    assert kept < 30
    assert sorted(pixels(megabatches[0].train) + pixels(megabatches[0].validation)) == list(range(20))


@pytest.mark.parametrize("what", ["gone", "changed", "damaged"])
def test_a_file_that_is_needed_again_must_be_as_it_was(tmp_path, what):
    for name in "ab":
        write(tmp_path, f"{name}.npz", arrays(0, 10))
    before = ArrivingMegabatches(tmp_path, seed=None, **QUICK)
    for index in range(2):
        before.take(index)
    after = ArrivingMegabatches(tmp_path, seed=None, **QUICK)
    after.load_state_dict(before.state_dict())
    if what == "gone":
        (tmp_path / "a.npz").unlink()
    elif what == "changed":
        write(tmp_path, "a.npz", arrays(1, 10))
    else:
        (tmp_path / "a.npz").write_bytes(WHOLE[:-1])
    with pytest.raises(ValueError, match=r"a.npz', whose images are still replayed, .*: put it back as it was"):
        pixels(after.take(1).train)


def test_a_stream_goes_on_from_its_state_and_needs_only_files_that_are_replayed(tmp_path):
    for index in range(4):
        write(tmp_path, f"{index}.npz", arrays(20 * index, 20 + index))
    options = {"replay": "previous", "shots": 6, **QUICK}
    one, two = (ArrivingMegabatches(tmp_path, **options) for _ in range(2))
    whole = [one.take(index) for index in range(4)]
    numbers = [(pixels(m.train), pixels(m.validation)) for m in whole]
    for index in range(3):
        two.take(index)
    file = io.BytesIO()
    torch.save(two.state_dict(), file)
    file.seek(0)
    (tmp_path / "0.npz").unlink()
    three = ArrivingMegabatches(tmp_path, **options)
    three.load_state_dict(torch.load(file, weights_only=True))
    assert three.train_images(2) == len(numbers[2][0])
    assert [(pixels(m.train), pixels(m.validation)) for m in (three.take(2), three.take(3))] == numbers[2:]


def test_a_loop_over_a_stream_goes_on_from_where_the_stream_is(tmp_path):
    for index in range(4):
        write(tmp_path, f"{index}.npz", arrays(20 * index, 20))
    (tmp_path / "end").touch()
    options = {"replay": "none", **QUICK}
    one = ArrivingMegabatches(tmp_path, **options)
    first = [next(iter(one)).index for _ in range(2)]  # a loop that was left, and begun anew
    state = one.state_dict()
    (tmp_path / "0.npz").unlink()
    (tmp_path / "1.npz").unlink()
    two = ArrivingMegabatches(tmp_path, **options)
    two.load_state_dict(state)
    assert (first, [m.index for m in one], [m.index for m in two]) == ([0, 1], [2, 3], [2, 3])


def test_a_folder_that_is_gone_for_a_while_is_waited_for_and_one_that_cannot_be_read_is_told_of(tmp_path):
    def unreadable(path):
        raise PermissionError(13, "Permission denied")

    incoming, told = tmp_path / "incoming", []
    incoming.mkdir()
    stream = ArrivingMegabatches(incoming, read_folder=unreadable, **QUICK)
    stream.on_damaged = lambda *what: told.append(what)
    incoming.rename(tmp_path / "away")
    assert stream.take(0) is None
    assert not stream.ended
    (tmp_path / "away").rename(incoming)
    (incoming / "a").mkdir()
    assert stream.take(0) is None
    assert told == [("a", "it cannot be read (Permission denied)")]
    write(incoming, "b.npz", arrays(0, 10))
    assert stream.take(0) is not None


def test_a_damaged_file_that_cannot_be_moved_is_passed_over(tmp_path):
    (tmp_path / "damaged").touch()  # in the way of the folder
    (tmp_path / "a.npz").write_bytes(b"")
    told = []
    stream = ArrivingMegabatches(tmp_path, **QUICK)
    stream.on_damaged = lambda *what: told.append(what)
    assert stream.take(0) is None
    assert stream.take(0) is None
    assert len(told) == 1
    write(tmp_path, "b.npz", arrays(0, 10))
    assert stream.take(0) is not None


@settings(deadline=None, max_examples=30)
@given(
    sizes=st.lists(st.integers(4, 30), min_size=1, max_size=5),
    replay=st.one_of(
        st.sampled_from(["full", "none", "previous"]),
        st.integers(1, 20).map(Buffer),
        st.integers(1, 2).map(GrowingBuffer),
    ),
    seed=st.one_of(st.none(), st.integers(0, 100)),
    shots=st.one_of(st.none(), st.integers(2, 5)),
)
def test_no_validation_image_is_ever_trained_on(sizes, replay, seed, shots):
    with tempfile.TemporaryDirectory() as name:
        folder, first = Path(name), 0
        for index, size in enumerate(sizes):
            write(folder, f"{index}.npz", arrays(first, size))
            first += size
        (folder / "end").touch()
        stream = ArrivingMegabatches(folder, replay=replay, seed=seed, shots=shots, validation=0.5, **QUICK)
        found = [(pixels(m.train), pixels(m.validation), pixels(m.new)) for m in stream]
        assert not list(folder.glob("damaged/*"))
    assert len(found) == len(sizes)
    trained, held_out = ({i for parts in found for i in parts[at]} for at in (0, 1))
    assert not trained & held_out
    assert shots is not None or trained | held_out == set(range(first))
    assert sum(len(new) for _, _, new in found) == len(trained)


WRITER = """
import sys, time
import numpy as np
from pathlib import Path
folder = Path(sys.argv[1])
for index in range(2):
    np.savez(folder / ".new.npz", images=np.full((10, 1, 2, 2), index, np.uint8), labels=np.arange(10) % 2)
    (folder / ".new.npz").rename(folder / f"{index}.npz")
    time.sleep(0.1)
(folder / "end").touch()
"""


def test_a_loop_of_ones_own_waits_for_what_another_process_writes(tmp_path):
    with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], env={**os.environ, "OMP_NUM_THREADS": "1"}):
        found = [pixels(m.new) for m in ArrivingMegabatches(tmp_path, **QUICK)]
    assert found == [[0] * 9, [1] * 9]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"validation": 1.0}, r"validation must lie in \[0, 1\)"),
        ({"shots": 0}, "shots must be at least 1"),
        ({"idle_minutes": 0.0}, "idle_minutes must be above 0"),
        ({"poll_seconds": 0.0}, "poll_seconds must be above 0"),
        ({"replay": "ful"}, "Did you mean 'full'"),
    ],
)
def test_a_bad_option_is_an_error(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        ArrivingMegabatches(tmp_path, **options)


def test_a_folder_that_is_not_there_and_a_megabatch_that_is_not(tmp_path):
    with pytest.raises(ValueError, match=r"there is no folder .* make it first"):
        ArrivingMegabatches(tmp_path / "nope")
    with pytest.raises(IndexError, match="of which 0 have arrived"):
        ArrivingMegabatches(tmp_path).take(1)
