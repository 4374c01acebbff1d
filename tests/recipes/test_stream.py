"""How an anytime run's data arrives: its options, and the streams they make."""

import pytest
import torch

from lethe.anytime import ArrivingMegabatches, Buffer, GrowingBuffer, MegabatchStream
from lethe.cli import main
from lethe.data import DataConfig, load
from lethe.recipes import StreamConfig
from lethe.recipes._stream import chosen_on_others

DATA = DataConfig(validation_size=0, test_size=500)


def build(data=DATA, **options):
    config = StreamConfig(**options)
    return config.build(load(data, file_order=config.in_file_order), data)


def test_the_published_order_is_that_of_the_data_set_with_the_validation_images_at_its_end():
    splits = load(DATA, file_order=True)
    shuffled = load(DATA)
    both = (splits.train, shuffled.train)
    assert [len(part) for part in both] == [1297, 1297]
    from sklearn.datasets import load_digits

    images = torch.from_numpy(load_digits().images).float() / 16
    rows = [next(i for i, one in enumerate(images) if torch.equal(one, x[0])) for x in splits.train.images[::50]]
    assert rows == sorted(rows)
    assert torch.equal(splits.train.labels.bincount(), shuffled.train.labels.bincount())
    assert not torch.equal(splits.train.labels, shuffled.train.labels)
    stream = build(order="published", replay="none", megabatches=4)
    assert stream.seed is None
    assert [i for m in stream for i in m.new.indices] == list(range(1167))
    assert [i for m in stream for i in m.validation.indices] == list(range(1167, 1297))


def test_a_stream_that_goes_by_class_is_said_to_choose_blindly():
    labels = torch.arange(6).repeat_interleave(10)
    data = torch.utils.data.TensorDataset(labels)
    by_class = MegabatchStream(data, 3, replay="full", validation=0.1, seed=None)
    (said,) = chosen_on_others(by_class, labels)
    assert "only 0% of the validation images of megabatch 1 are of classes that are trained on" in said
    assert chosen_on_others(MegabatchStream(data, 3, replay="full", validation=0.1, seed=0), labels) == []


def test_options_reach_the_stream():
    stream = build(megabatch_size=200, replay="published-buffer:20", holdout=0.25, balanced=True)
    assert isinstance(stream, MegabatchStream)
    assert (len(stream), stream.replay, stream.validation_share, stream.seed) == (6, GrowingBuffer(20), 0.25, 0)
    labels = load(DATA).train.labels
    counts = torch.stack([labels[m.new.indices].bincount(minlength=10) for m in stream])
    assert (counts.max(0).values - counts.min(0).values).max() <= 1
    few = build(shots=3, megabatches=5)
    assert {int(labels[m.new.indices].bincount(minlength=10).max()) for m in few} == {3}


def test_options_reach_the_folder(tmp_path):
    options = {"replay": "50", "holdout": 0.3, "shots": 4, "idle_minutes": 2.0, "order": "published"}
    stream = build(arrivals=str(tmp_path), **options)
    assert isinstance(stream, ArrivingMegabatches)
    assert (stream.replay, stream.validation_share, stream.shots, stream.seed) == (Buffer(50), 0.3, 4, None)
    assert (stream.image_shape, stream.classes, stream.idle_minutes) == ((1, 8, 8), 10, 2.0)
    assert stream.read_folder is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--megabatch-size 1", "megabatch_size must be at least 2"),
        ("--megabatch-size 5000", "megabatches of 5000 images"),
        ("--megabatch-size 100 --replay published-buffer", "the published buffer draws 182 images"),
        ("--shots 0", "shots must be at least 1"),
        ("--order publishd", "unknown order 'publishd'. Did you mean 'published'?"),
        ("--replay published-bufer", "Did you mean 'published-buffer'?"),
        ("--arrivals nowhere", "there is no folder 'nowhere' for megabatches to arrive in: make it first"),
        ("--arrivals . --balanced", "balanced does not go with arrivals"),
        ("--arrivals . --megabatch-size 5", "megabatch_size does not go with arrivals"),
        ("--arrivals . --label-noise 0.5", "label_noise is of a data set's training images, and these arrive"),
        ("--train-size 20 --test-size 10 --megabatch-size 2 --holdout 0.5", "fewer than 2 training images"),
        ("--arrivals . --idle-minutes 0", "idle_minutes must be above 0"),
        ("--idle-minutes 3", "idle_minutes is of arrivals"),
    ],
)
def test_a_mistake_is_one_line(words, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["anytime", "lure", *words.split()]) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_run_of_arrivals_says_how_far_it_is_and_goes_on(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "incoming").mkdir()
    words = (
        "--arrivals",
        "incoming",
        "--idle-minutes",
        "0.001",
        "--width",
        "4",
        "--test-size",
        "50",
        "--device",
        "cpu",
    )
    assert main(["anytime", "alma", *words, "--out", "runs/one"]) == 2
    assert "the stream in 'incoming' ended before there was a megabatch" in capsys.readouterr().err
    assert main(["runs"]) == 0
    assert "0/?" in capsys.readouterr().out
