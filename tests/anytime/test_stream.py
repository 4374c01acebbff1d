"""Megabatches: by hand, and what holds for every stream."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import IterableDataset, TensorDataset

from lethe.anytime import Buffer, MegabatchStream, cumulative_error


def numbers(count):
    return TensorDataset(torch.arange(count))


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


@settings(deadline=None, max_examples=80)
@given(
    count=st.integers(10, 200),
    megabatches=st.integers(1, 8),
    replay=st.one_of(st.sampled_from(["full", "none", "previous"]), st.integers(1, 50).map(Buffer)),
    validation=st.floats(0.0, 0.5),
    seed=st.one_of(st.none(), st.integers(0, 10_000)),
)
def test_what_holds_for_every_stream(count, megabatches, replay, validation, seed):
    if int((1 - validation) * count + 1e-9) < megabatches:
        return
    stream = MegabatchStream(numbers(count), megabatches, replay=replay, validation=validation, seed=seed)
    seen = parts(stream)
    assert seen == parts(stream)  # iterating again gives the same
    trained = {i for train, _, _ in seen for i in train}
    held_out = {i for _, validated, _ in seen for i in validated}
    assert not trained & held_out  # no validation image is ever trained on
    assert trained | held_out == set(range(count))  # no image is lost
    new = [i for _, _, arrived in seen for i in arrived]
    assert len(new) == len(set(new)) == len(trained)  # each arrives once
    sizes = [len(arrived) for _, _, arrived in seen]
    assert max(sizes) - min(sizes) <= 1
    for train, _, arrived in seen:
        assert train[: len(arrived)] == arrived
        assert len(set(train)) == len(train)


def test_the_seed_permutes():
    first, second = (parts(MegabatchStream(numbers(50), 2, seed=seed)) for seed in (0, 1))
    assert first != second
    assert first[0][2] != sorted(first[0][2])


def test_subsets_give_the_data_sets_items():
    megabatch = MegabatchStream(numbers(10), 2, seed=None)[1]
    assert [int(item[0]) for item in megabatch.new] == [5, 6, 7, 8]


class Endless(IterableDataset):
    def __iter__(self):
        return iter(())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MegabatchStream(numbers(10), 0), "megabatches must be at least 1"),
        (lambda: MegabatchStream(numbers(10), 10), "10 images leave 9 for training, too few for 10"),
        (lambda: MegabatchStream(numbers(10), 2, replay="ful"), "Did you mean 'full'"),
        (lambda: MegabatchStream(numbers(10), 2, replay=5), r"or Buffer\(n\), got 5"),
        (lambda: MegabatchStream(numbers(10), 2, validation=1.0), r"validation must lie in \[0, 1\)"),
        (lambda: MegabatchStream(Endless(), 2), "a data set with a length"),
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
