"""Megabatches: by hand, and what holds for every stream."""

import itertools
import re

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.utils.data import IterableDataset, Subset, TensorDataset

from lethe.anytime import Buffer, GrowingBuffer, MegabatchStream, cumulative_error
from lethe.anytime._replay import parse_replay


def numbers(count, labels=None):
    data = TensorDataset(torch.arange(count))
    if labels is not None:
        data.targets = labels
    return data


def parts(stream):
    return [(list(m.train.indices), list(m.validation.indices), list(m.new.indices)) for m in stream]


def test_the_published_order_by_hand():
    # 20 images, 0.8 of them for training: 0..15 in four parts; the validation images are the last ones
    stream = MegabatchStream(numbers(20), 4, replay="none", validation=0.2, seed=None)
    assert len(stream) == 4
    assert parts(stream) == [
        ([0, 1, 2, 3], [16], [0, 1, 2, 3]),
        ([4, 5, 6, 7], [17], [4, 5, 6, 7]),
        ([8, 9, 10, 11], [18], [8, 9, 10, 11]),
        ([12, 13, 14, 15], [19], [12, 13, 14, 15]),
    ]


def test_lures_numbers_on_cifar_10():
    stream = MegabatchStream(numbers(50_000), 8, replay="none", seed=None)
    for index, megabatch in enumerate(stream):
        assert megabatch.train.indices == list(range(index * 5625, (index + 1) * 5625))
        assert megabatch.validation.indices == list(range(45_000 + index * 625, 45_000 + (index + 1) * 625))


@pytest.mark.parametrize(
    ("replay", "train", "validation"),
    [
        ("full", [[0, 1, 2], [3, 4, 5, 0, 1, 2], [6, 7, 8, 0, 1, 2, 3, 4, 5]], [[9], [10, 9], [11, 9, 10]]),
        ("none", [[0, 1, 2], [3, 4, 5], [6, 7, 8]], [[9], [10], [11]]),
        ("previous", [[0, 1, 2], [3, 4, 5, 0, 1, 2], [6, 7, 8, 3, 4, 5]], [[9], [10, 9], [11, 10]]),
    ],
)
def test_replay_by_hand(replay, train, validation):
    stream = MegabatchStream(numbers(12), 3, replay=replay, validation=0.25, seed=None)
    assert [m.train.indices for m in stream] == train
    assert [m.validation.indices for m in stream] == validation
    assert [m.new.indices for m in stream] == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]


def test_a_buffer_holds_all_until_it_is_full_and_then_its_size():
    stream = MegabatchStream(numbers(100), 5, replay=Buffer(25), validation=0.2, seed=3)
    replayed = [m.train.indices[len(m.new) :] for m in stream]
    assert [len(r) for r in replayed] == [0, 16, 25, 25, 25]
    for index, indices in enumerate(replayed):
        past = {i for m in list(stream)[:index] for i in m.new.indices}
        assert len(set(indices)) == len(indices)
        assert set(indices) <= past
    # validation images are a quarter of the training images, and so is their buffer
    assert [len(m.validation) for m in stream] == [4, 8, 10, 10, 10]


def test_a_buffer_is_a_reservoir():
    # what stays changes only as new images arrive: an image that has left does not come back
    past, kept = [list(range(10))], []
    for first in range(10, 60, 10):
        kept.append(set(Buffer(8).recall(past, seed=1)))
        past.append(list(range(first, first + 10)))
    for earlier, later, new in zip(kept, kept[1:], past[1:], strict=False):
        assert later <= earlier | set(new)


def test_a_buffer_keeps_every_image_with_equal_chance():
    counts = torch.zeros(20)
    for seed in range(3000):
        counts[Buffer(5).recall([list(range(12)), list(range(12, 20))], seed)] += 1
    # 0.25 each; the deviation of a share over 3,000 draws is 0.0079
    assert (counts / 3000 - 0.25).abs().max() < 5 * 0.0079


REPLAYS = st.one_of(
    st.sampled_from(["full", "none", "previous"]), st.integers(1, 50).map(Buffer), st.integers(1, 3).map(GrowingBuffer)
)


@settings(deadline=None, max_examples=150)
@given(
    count=st.integers(10, 200),
    megabatches=st.integers(1, 8),
    by_size=st.booleans(),
    replay=REPLAYS,
    validation=st.floats(0.0, 0.5),
    seed=st.one_of(st.none(), st.integers(0, 10_000)),
    classes=st.integers(1, 4),
    shots=st.one_of(st.none(), st.integers(1, 5)),
    balanced=st.booleans(),
    data=st.data(),
)
def test_what_holds_for_every_stream(
    count, megabatches, by_size, replay, validation, seed, classes, shots, balanced, data
):
    labels = data.draw(st.lists(st.integers(0, classes - 1), min_size=count, max_size=count))
    how = {"megabatch_size": count // megabatches} if by_size else {"megabatches": megabatches}
    options = {"replay": replay, "validation": validation, "seed": seed, "shots": shots, "balanced": balanced}
    try:
        stream = MegabatchStream(numbers(count, labels), **how, **options)
        seen = parts(stream)
    except ValueError as error:
        if not re.search("too few|cannot be cut|published buffer", str(error)):
            raise
        assume(False)
    assert len(seen) == len(stream) >= megabatches
    assert seen == parts(stream)  # iterating again gives the same
    trained = {i for train, _, _ in seen for i in train}
    held_out = {i for _, validated, _ in seen for i in validated}
    assert not trained & held_out  # no validation image is ever trained on
    assert len(trained | held_out) == count - stream.left_out  # no image is lost
    new = [i for _, _, arrived in seen for i in arrived]
    assert len(new) == len(set(new)) == len(trained)  # each arrives once
    sizes = [len(arrived) for _, _, arrived in seen]
    if shots is None:
        assert max(sizes) - min(sizes) <= (0 if by_size and not balanced else 1)
        assert by_size or stream.left_out == 0
    place = {index: at for at, index in enumerate(sorted(range(count)) if seed is None else [])}
    for train, _, arrived in seen:
        assert train[: len(arrived)] == arrived
        if not isinstance(replay, GrowingBuffer):
            assert len(set(train)) == len(train)
        if seed is None:
            assert [place[i] for i in arrived] == sorted(place[i] for i in arrived)
    for label in range(classes):
        shares = [sum(labels[i] == label for i in arrived) for _, _, arrived in seen]
        if balanced:
            assert max(shares) - min(shares) <= 1
        if shots is not None:
            assert max(shares) <= shots


def test_the_seed_permutes():
    first, second = (parts(MegabatchStream(numbers(50), 2, seed=seed)) for seed in (0, 1))
    assert first != second
    assert first[0][2] != sorted(first[0][2])


def test_a_size_by_hand():
    # 26 images in megabatches of 10, 8 of them for training; the validation images begin where those of all 26 do
    stream = MegabatchStream(numbers(26), megabatch_size=10, replay="none", validation=0.2, seed=None)
    assert parts(stream) == [
        (list(range(8)), [20, 21], list(range(8))),
        (list(range(8, 16)), [22, 23], list(range(8, 16))),
    ]
    assert stream.left_out == 6


def test_lures_meta_batch_size_is_its_number_of_megabatches():
    by_size, by_number = (
        MegabatchStream(numbers(50_000), replay="none", seed=None, **how)
        for how in ({"megabatch_size": 6250}, {"megabatches": 8})
    )
    assert parts(by_size) == parts(by_number)
    assert by_size.left_out == 0


def test_a_size_whose_rounding_asks_for_more_validation_images_has_them_all():
    stream = MegabatchStream(numbers(150), megabatch_size=15, replay="none", seed=None)
    assert [len(m.train) for m in stream] == [13] * 10
    assert [i for m in stream for i in m.validation.indices] == list(range(130, 150))


def test_few_shot_by_hand():
    labels = [0, 1, 0, 0, 1, 0, 1, 1, 0, 0, 1, 0]
    stream = MegabatchStream(numbers(12, labels), 2, replay="none", validation=1 / 3, seed=None, shots=1)
    # images 0 to 3 and 4 to 7 arrive, 8 and 9, and 10 and 11 are held out: the first of each class stays
    assert parts(stream) == [([0, 1], [8], [0, 1]), ([4, 5], [10, 11], [4, 5])]
    assert stream.left_out == 5


def test_balanced_by_hand():
    # a set sorted by class, whose first half would else arrive before the second
    labels = torch.tensor([0] * 8 + [1] * 4)
    stream = MegabatchStream(numbers(12, labels), 2, replay="none", validation=0.25, seed=None, balanced=True)
    # each fourth image of 0 and of 1 is held out, the others are dealt out in turn
    held_out = [i for m in stream for i in m.validation.indices]
    assert sorted(int(labels[i]) for i in held_out) == [0, 0, 1]
    assert [[int(labels[i]) for i in m.new.indices] for m in stream] == [[0, 0, 0, 1, 1], [0, 0, 0, 1]]
    unbalanced = MegabatchStream(numbers(12, labels), 2, replay="none", validation=0.25, seed=None)
    assert [[int(labels[i]) for i in m.new.indices] for m in unbalanced] == [[0] * 5, [0, 0, 0, 1]]


@pytest.mark.parametrize("attribute", ["targets", "labels"])
def test_labels_are_found(attribute):
    data = TensorDataset(torch.arange(20))
    setattr(data, attribute, [i % 2 for i in range(20)])
    stream = MegabatchStream(Subset(data, range(1, 20, 2)), 1, validation=0.0, seed=None, shots=2)  # all of class 1
    assert stream[0].train.indices == [0, 1]
    assert [int(item[0]) for item in stream[0].train] == [1, 3]


def test_validation_images_carry_their_own_transforms():
    augmented = TensorDataset(-torch.arange(10))
    stream = MegabatchStream(augmented, 2, validation=0.2, seed=None, validation_dataset=numbers(10))
    assert [int(item[0]) for item in stream[1].validation] == [9, 8]
    assert [int(item[0]) for item in stream[1].train] == [-4, -5, -6, -7, 0, -1, -2, -3]
    assert [int(item[0]) for item in stream[1].new] == [-4, -5, -6, -7]


def test_subsets_give_the_data_sets_items():
    megabatch = MegabatchStream(numbers(10), 2, seed=None)[1]
    assert [int(item[0]) for item in megabatch.new] == [5, 6, 7, 8]


class Endless(IterableDataset):
    def __iter__(self):
        return iter(())


def test_the_published_buffer_grows_by_its_draws():
    stream = MegabatchStream(numbers(8000), 4, replay="published-buffer", seed=None)
    buffers = [m.train.indices[len(m.new) :] for m in stream]
    assert [len(b) for b in buffers] == [0, 182, 364, 546]
    assert [len(m.validation) for m in stream] == [200, 382, 564, 746]  # the code draws as many of these
    for index, (earlier, later) in enumerate(itertools.pairwise(buffers)):
        assert later[: len(earlier)] == earlier  # it appends, and drops nothing
        assert set(later[len(earlier) :]) <= set(stream[index].train.indices)  # drawn from the new ones and its own


def test_the_published_buffer_equals_a_plain_reference_and_holds_doubles():
    past, generator, buffer = [[0, 1, 2], [3, 4, 5], [6, 7, 8]], np.random.default_rng(5), []
    for current in past:
        train = current + buffer
        buffer = buffer + [train[i] for i in generator.choice(len(train), 3, replace=False)]
    found = GrowingBuffer(3).recall(past, seed=5)
    assert found == buffer
    assert sorted(found[:3]) == [0, 1, 2]
    assert any(len(set(GrowingBuffer(3).recall(past, seed))) < 9 for seed in range(5))


@pytest.mark.parametrize(
    ("text", "rule"),
    [("25", Buffer(25)), ("published-buffer", GrowingBuffer(182)), ("published-buffer:20", GrowingBuffer(20))],
)
def test_a_buffer_is_named_on_the_command_line(text, rule):
    assert parse_replay(text) == rule


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MegabatchStream(numbers(10), 0), "megabatches must be at least 1"),
        (lambda: MegabatchStream(numbers(10), 10), "10 images leave 9 for training, too few for 10"),
        (lambda: MegabatchStream(numbers(10), 2, replay="ful"), "Did you mean 'full'"),
        (lambda: MegabatchStream(numbers(10), 2, replay=5), r"or Buffer\(n\), got 5"),
        (lambda: MegabatchStream(numbers(10), 2, validation=1.0), r"validation must lie in \[0, 1\)"),
        (lambda: MegabatchStream(Endless(), 2), "a data set with a length"),
        (lambda: MegabatchStream(numbers(10)), "give one of the two"),
        (lambda: MegabatchStream(numbers(10), 2, megabatch_size=5), "give one of the two"),
        (lambda: MegabatchStream(numbers(10), megabatch_size=11), "megabatches of 11 images, 9 of them for training"),
        (lambda: MegabatchStream(numbers(10), megabatch_size=1), "0 of them for training"),
        (lambda: MegabatchStream(numbers(10), megabatch_size=11, seed=1), "cannot be cut from 10"),
        (lambda: MegabatchStream(numbers(10, [0] * 10), 10, balanced=True), "too few for 10"),
        (lambda: MegabatchStream(numbers(10), 2, shots=0), "shots must be at least 1"),
        (lambda: MegabatchStream(numbers(10), 2, shots=1), "TensorDataset has neither targets nor labels"),
        (lambda: MegabatchStream(numbers(10), 2, balanced=True), "few-shot and balanced megabatches need labels"),
        (lambda: MegabatchStream(numbers(10, [0] * 9), 2, balanced=True), "must be 10 whole numbers"),
        (lambda: MegabatchStream(numbers(10, [0.5] * 10), 2, balanced=True), "must be 10 whole numbers"),
        (lambda: MegabatchStream(numbers(10), 2, validation_dataset=numbers(9)), "validation_dataset has 9 images"),
        (lambda: MegabatchStream(numbers(100), 2, replay="published-buffer"), "draws 182 .* has 45"),
        (lambda: MegabatchStream(numbers(1000), 4, replay="published-buffer"), "draws 182 .* has 25"),
        (lambda: MegabatchStream(numbers(10), 2, replay="published-bufer"), "Did you mean 'published-buffer'"),
        (lambda: MegabatchStream(numbers(10), 2, replay="published-buffer:x"), "replay must be full"),
        (lambda: GrowingBuffer(0), "growing buffer must be at least 1"),
        (lambda: Buffer(0), "replay buffer must be at least 1"),
    ],
)
def test_a_bad_stream_is_an_error(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_megabatch_that_does_not_exist():
    with pytest.raises(IndexError, match="megabatch 2 of 2"):
        MegabatchStream(numbers(10), 2)[2]


def test_the_cumulative_error_is_a_sum():
    assert cumulative_error([40, 25, 10]) == 75
    assert cumulative_error([0.4, 0.25, 0.1]) == pytest.approx(0.75)
