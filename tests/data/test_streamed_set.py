"""Images streamed from files: the same as those in memory, whoever decodes them, and continued where one stopped."""

import pytest
import torch
from folders import HIGH, picture, write_folder

import lethe
from lethe.data import RandomResizedCrop, StreamedSet, batches
from lethe.data._augment import crop_flip
from lethe.data._decode import Decoder
from lethe.data._image_folder import read_part

SIZE = 16


@pytest.fixture(scope="module")
def streamed(tmp_path_factory):
    root = write_folder(tmp_path_factory.mktemp("streamed"), counts={"train": 5})
    return read_part(root / "train", {"ant": 0, "bee": 1, "cat": 2}, 3, Decoder(SIZE, 20), 0)


def with_workers(data, workers):
    return StreamedSet(data.paths, data.labels, data.classes, data.decode, workers)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def same(first, second):
    first, second = list(first), list(second)
    return len(first) == len(second) and all(
        torch.equal(x, a) and torch.equal(y, b) for (x, y), (a, b) in zip(first, second, strict=True)
    )


def test_it_is_an_image_set_like_the_one_in_memory(streamed):
    data = streamed.decoded()
    assert torch.equal(data.images, torch.stack([streamed.decode(path) for path in streamed.paths]))
    assert streamed.shape == data.shape == (3, SIZE, SIZE)
    assert (len(streamed), streamed.classes, streamed.decoded_bytes) == (15, 3, data.images.numel())
    assert torch.equal(streamed.images, data.images)
    assert torch.equal(streamed.pooled(4).images, data.pooled(4).images)
    assert torch.equal(streamed[7][0], data[7][0])
    assert streamed[7][1] == data[7][1] == 1
    for indices in ([9, 2, 2], torch.tensor([9, 2, 2])):
        part = streamed.subset(indices)
        assert torch.equal(part.images, data.subset(indices).images)
        assert part.labels.tolist() == [1, 0, 0]
    assert len(streamed.subset([])) == 0
    assert streamed.relabelled(torch.zeros(15).long()).labels.sum() == 0
    assert "15 files of 3 classes" in repr(streamed)
    moved = streamed.to("meta")
    assert (moved.labels.device.type, moved.paths) == ("meta", streamed.paths)


@pytest.mark.parametrize("augment", [None, crop_flip])
@pytest.mark.parametrize("shuffled", [False, True])
def test_batches_are_those_of_the_set_in_memory(streamed, shuffled, augment):
    one, two = (generator(4) if shuffled else None for _ in range(2))
    options = {} if augment is None else {"augment": augment}
    assert same(batches(streamed, 4, shuffle=one, **options), batches(streamed.decoded(), 4, shuffle=two, **options))
    assert not shuffled or torch.equal(one.get_state(), two.get_state())


def test_a_crop_is_made_from_the_whole_file(streamed):
    crop, shuffle = RandomResizedCrop(), generator(4)
    ((x, y),) = batches(streamed, 15, shuffle=shuffle, augment=crop)
    expected = generator(4)
    order = torch.randperm(15, generator=expected).tolist()
    seeds = crop.seeds(15, expected)
    for made, index, seed in zip(x, order, seeds, strict=True):
        from PIL import Image

        by_hand = crop.of_one(Image.open(streamed.paths[index]), (SIZE, SIZE), seed)
        assert bytes((made * 255).round().byte().permute(1, 2, 0).flatten().tolist()) == by_hand.tobytes()
    assert y.tolist() == [index // 5 for index in order]
    assert torch.equal(shuffle.get_state(), expected.get_state())


def test_worker_processes_change_nothing(streamed):
    three = with_workers(streamed, 2)
    for options in ({}, {"augment": RandomResizedCrop()}):
        shuffles = generator(5), generator(5)
        before = torch.get_rng_state()
        assert same(*(batches(d, 4, shuffle=s, **options) for d, s in zip((streamed, three), shuffles, strict=True)))
        assert torch.equal(torch.get_rng_state(), before)
        assert torch.equal(*(shuffle.get_state() for shuffle in shuffles))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("augment", [RandomResizedCrop(), crop_flip])
def test_after_each_batch_the_generator_is_where_the_rest_goes_on(streamed, workers, augment):
    """What a checkpoint relies on: whatever was decoded ahead, its draws are not yet the generator's."""
    data, whole = with_workers(streamed, workers), generator(6)
    order = torch.randperm(15, generator=whole)
    states, all_of_it = [], []
    for batch in batches(data, 4, shuffle=whole, augment=augment, order=order):
        all_of_it.append(batch)
        states.append(whole.get_state())
    for done in (1, 2, 3):
        again = generator()
        again.set_state(states[done - 1])
        rest = batches(data, 4, shuffle=again, augment=augment, order=order, skip=done)
        assert same(rest, all_of_it[done:])
        assert torch.equal(again.get_state(), states[-1])


def test_batches_that_are_not_taken_to_the_end_leave_nothing_behind(streamed):
    data = with_workers(streamed, 2)
    first = next(batches(data, 2, shuffle=generator(1)))
    assert same([first], [next(batches(streamed, 2, shuffle=generator(1)))])


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_file_is_one_line_when_its_turn_comes(tmp_path, workers):
    root = write_folder(tmp_path, counts={"train": 3})
    data = read_part(root / "train", {"ant": 0, "bee": 1, "cat": 2}, 3, Decoder(SIZE, SIZE), workers)
    (root / "train" / "bee" / "2.png").write_bytes(b"no longer an image")
    taken = batches(data, 4)
    assert next(taken)[0].shape == (4, 3, SIZE, SIZE)
    with pytest.raises(lethe.LetheError, match=r"bee.2\.png' is missing or damaged") as error:
        list(taken)
    assert "\n" not in str(error.value)
    picture(1).save(root / "train" / "bee" / "2.png")
    assert sum(len(y) for _, y in batches(data, 4)) == 9


def test_an_empty_set_is_refused(streamed):
    with pytest.raises(lethe.LetheError, match="no image in this set"):
        next(batches(streamed.subset([]), 4))


def test_training_goes_on_to_the_bit_where_it_stopped(tmp_path):
    """A run on random crops from files, stopped in the middle of its second epoch, and continued anew."""
    import copy
    import dataclasses

    from lethe.data import DataConfig, load
    from lethe.engine import ScheduleConfig, train_epoch
    from lethe.models import ModelConfig
    from lethe.recipes import SGDRecipe

    data = DataConfig(
        dataset="imagefolder",
        data_dir=str(write_folder(tmp_path)),
        image_size=HIGH,
        validation_size=3,
        augment="random-resized-crop",
        workers=0,
    )
    recipe = SGDRecipe(data=data, model=ModelConfig(width=4), schedule=ScheduleConfig(epochs=2, batch_size=4))
    splits, kept = load(data), []
    training = recipe.build(splits)

    def keep(share):
        if training.epoch == 1 and training.progress.batches == 2:
            kept.append(copy.deepcopy(training.state_dict()))

    def train(training, splits, **options):
        while training.epoch < 2:
            train_epoch(training, splits.train, batch_size=4, augment=data.augmentation(), **options)
        return training.state_dict()["model"]

    whole = train(training, splits, on_step=keep)
    again = load(dataclasses.replace(data, workers=2))
    continued = recipe.build(again)
    continued.load_state_dict(kept[0])
    for name, value in train(continued, again).items():
        assert torch.equal(value, whole[name]), name
