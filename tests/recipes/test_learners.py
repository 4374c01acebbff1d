"""The learners of `lethe anytime`: what they see, what they act on, what it costs."""

import dataclasses
import itertools

import pytest
import torch
from torch.optim import SGD
from torch.utils.flop_counter import FlopCounterMode

import lethe
from lethe.anytime import learning_speed
from lethe.attacks import PGD
from lethe.data import DataConfig, load
from lethe.data._augment import crop_flip
from lethe.engine import Observer, RunDirectory, ScheduleConfig, Stopped, generators, load_checkpoint
from lethe.methods import ForgettableConfig, LLFConfig, LUREConfig, ScratchConfig, ShrinkPerturbConfig
from lethe.models import ModelConfig
from lethe.optim import AMPUnderAttackConfig, SAMConfig, SGDConfig
from lethe.recipes import (
    AlmaRecipe,
    LLFRecipe,
    LureRecipe,
    ScratchRecipe,
    ShrinkPerturbRecipe,
    StreamConfig,
)
from lethe.recipes._anytime import LearningConfig
from lethe.recipes._between import Between
from lethe.recipes._megabatch import MegabatchConfig

ATTACK = PGD(epsilon=0.1, step_size=0.05, steps=2)
VARIANTS = {
    "amp": {"learning": LearningConfig(optimizer_rule="amp"), "amp": AMPUnderAttackConfig(amp_epsilon=0.2)},
    "sam": {"learning": LearningConfig(optimizer_rule="sam"), "sam": SAMConfig(rho=0.1)},
    "attacked": {"learning": LearningConfig(adversarial=True, eval_steps=2), "attack": ATTACK},
    "amp, attacked, carried": {
        "learning": LearningConfig(adversarial=True, eval_steps=2, optimizer_rule="amp"),
        "attack": ATTACK,
        "megabatch": MegabatchConfig(optimizer_state="carried", lr_state="carried"),
    },
    "official": {"lure": LUREConfig(official=True)},
    "replayed, carried schedule": {
        "lure": LUREConfig(snip_on="replayed", keep=0.7, ties="first", count="per-tensor"),
        "megabatch": MegabatchConfig(optimizer_state="carried", schedule_state="carried"),
    },
}


class AsksWithin(Observer):
    """Asks to stop in the middle of the second megabatch's first epoch."""

    asks = False

    def step(self, epochs):
        self.asks = epochs > 2.2

    def stop_asked(self):
        return self.asks


def same_tree(one, two):
    if isinstance(one, dict):
        return list(one) == list(two) and all(same_tree(one[key], two[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(two) and all(map(same_tree, one, two))
    return torch.equal(one, two) if isinstance(one, torch.Tensor) else one == two


def without_seconds(records):
    return [{**record, "seconds": 0} for record in records]


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_runs_and_goes_on_within_a_megabatch_to_the_bit(name, tiny, tmp_path):
    alone, records = tiny(LureRecipe, tmp_path / "alone", **VARIANTS[name]).execute()
    recipe = tiny(LureRecipe, tmp_path / "run", **VARIANTS[name])
    with pytest.raises(Stopped):
        recipe.execute(observer=AsksWithin())
    _, resumed = recipe.execute(resume=RunDirectory.open(tmp_path / "run"))
    assert without_seconds(resumed) == without_seconds(records)
    for path in (alone.path / "checkpoints").iterdir():
        assert same_tree(load_checkpoint(tmp_path / "run" / "checkpoints" / path.name), load_checkpoint(path))
    attacked = "attacked" in name
    assert all(("validation/robust" in r) is attacked for r in records if "train/loss" in r)
    for closing in (r for r in records if "test/errors" in r):
        epochs = [r for r in records if r["megabatch"] == closing["megabatch"] and "train/loss" in r]
        accuracies = [r["validation/robust" if attacked else "validation/clean"] for r in epochs]
        assert accuracies[closing["best_epoch"] - 1] == max(accuracies)  # chosen by what training is for
        assert closing["learning_speed"] == learning_speed(accuracies)
        assert closing["gap"] == epochs[closing["best_epoch"] - 1]["train/accuracy"] - max(accuracies)
        assert 0 <= closing["test/ece"] <= 1
        assert ("test/robust" in closing) is attacked


@pytest.mark.parametrize(
    ("name", "kind"), [("amp", lethe.AMP), ("sam", lethe.SAM), ("official", SGD), ("amp, attacked, carried", lethe.AMP)]
)
def test_what_steps_is_what_was_asked_for(name, kind, tiny):
    recipe = tiny(LureRecipe, **VARIANTS[name])
    training = recipe.starts(generators(0))(recipe.network(load(recipe.data)), 50, 0)
    assert type(training.optimizer) is kind


def between(recipe, *, megabatch=1, splits=None):
    """The moment before a megabatch of the recipe's own stream."""
    splits = splits or load(recipe.data)
    arrived = recipe.stream.build(splits, recipe.data)[megabatch]
    streams = generators(0)
    torch.manual_seed(0)
    model = recipe.network(splits)
    training = recipe.starts(streams)(model, len(arrived.train), 0)
    new, train = (splits.train.subset(list(part.indices)) for part in (arrived.new, arrived.train))
    return Between(training, new, train, streams["method"], recipe.newborn(splits)), splits


def looked_at(recipe, monkeypatch, at):
    """The batches that LURE measures saliency on."""
    seen = []

    def forget(self, model, batches, *, optimizer=None):
        seen.extend(batches)
        return

    monkeypatch.setattr(lethe.LURE, "forget", forget)
    recipe.between(at)
    return seen


def large(official, replay, **more):
    data = DataConfig(validation_size=0, train_size=600, test_size=50, **more)
    return LureRecipe(
        data=data,
        lure=LUREConfig(official=official),
        stream=StreamConfig(megabatches=3, replay=replay, order="published"),
        schedule=ScheduleConfig(batch_size=50),
        model=ModelConfig(width=4),
    )


@pytest.mark.parametrize(("replay", "first"), [("full", 0), ("previous", 180), ("none", 360)])
def test_officially_saliency_is_measured_on_one_batch_of_the_first_100_of_the_training_set(replay, first, monkeypatch):
    recipe = large(True, replay)
    at, splits = between(recipe, megabatch=2)  # 180 training images a megabatch, in the order of the data set
    ((images, labels),) = looked_at(recipe, monkeypatch, at)
    wanted = splits.train.subset(list(range(first, first + 100)))
    assert torch.equal(images, wanted.images.float() / 255 if wanted.images.dtype == torch.uint8 else wanted.images)
    assert torch.equal(labels, wanted.labels)


def test_officially_the_images_are_augmented_and_otherwise_not(monkeypatch):
    official, plain = large(True, "full", augment="crop-flip"), large(False, "full", augment="crop-flip")
    at, splits = between(official, megabatch=2)
    before = at.generator.get_state()
    ((images, _),) = looked_at(official, monkeypatch, at)
    source = torch.Generator()
    source.set_state(before)
    assert torch.equal(images, crop_flip(splits.train.images[:100], source))
    at, splits = between(plain, megabatch=2)
    batches = looked_at(plain, monkeypatch, at)
    assert [len(y) for _, y in batches] == [50, 50, 28]  # the first 128 of the new ones
    assert torch.equal(torch.cat([x for x, _ in batches]), splits.train.images[360:488])


def test_officially_it_can_be_made_to_look_at_the_new_images(monkeypatch):
    recipe = dataclasses.replace(large(True, "full"), lure=LUREConfig(official=True, snip_on="current"))
    at, splits = between(recipe, megabatch=2)
    ((images, _),) = looked_at(recipe, monkeypatch, at)
    assert torch.equal(images, splits.train.images[360:460])
    assert recipe.images_seen(180, 540) == 100


def test_with_a_buffer_the_official_code_lists_the_new_images_first(monkeypatch):
    recipe = large(True, "published-buffer:10")
    at, splits = between(recipe, megabatch=2)
    ((images, _),) = looked_at(recipe, monkeypatch, at)
    assert torch.equal(images, splits.train.images[360:460])


def test_saliency_can_be_measured_on_all_that_is_trained_on(monkeypatch):
    recipe = dataclasses.replace(large(False, "full"), lure=LUREConfig(snip_on="replayed", snip_images=300))
    at, splits = between(recipe, megabatch=2)
    images = torch.cat([x for x, _ in looked_at(recipe, monkeypatch, at)])
    assert len(images) == recipe.images_seen(180, 540) == 300
    old = {bytes(image.numpy()) for image in splits.train.images[:360]}
    share = sum(bytes(image.numpy()) in old for image in images) / 300
    assert 0.5 < share < 0.8  # two thirds of what is trained on is replayed


@pytest.mark.parametrize("model", ["small-resnet", "resnet18"])
def test_shrink_and_perturb_adds_a_newly_built_networks_weights(model):
    """Which torchvision's initialiser makes 2.4 times as large as the layers themselves would draw them."""
    recipe = ShrinkPerturbRecipe(
        data=DataConfig(validation_size=0, train_size=40, test_size=20),
        stream=StreamConfig(megabatches=2),
        model=ModelConfig(model=model, width=4),
        shrink_perturb=ShrinkPerturbConfig(shrink=0.0, perturb=1.0),
    )
    at, _ = between(recipe)
    first = next(m for m in at.model.modules() if isinstance(m, torch.nn.Conv2d) and m.in_channels > 1).weight
    before = first.detach().clone()
    recipe.between(at)
    assert not torch.equal(first, before)
    assert float(first.detach().std()) == pytest.approx(float(before.std()), rel=0.2)


@pytest.mark.parametrize("drawn", [False, True])
def test_from_scratch_begins_with_the_initial_weights_or_with_new_ones(drawn):
    recipe = ScratchRecipe(
        scratch=ScratchConfig(scratch_weights="drawn" if drawn else "same"),
        data=DataConfig(validation_size=0, train_size=100, test_size=50),
        stream=StreamConfig(megabatches=2),
        model=ModelConfig(width=4),
    )
    at, splits = between(recipe)
    initial = {name: value.clone() for name, value in at.model.state_dict().items()}
    for step in range(2):
        x = splits.train.images[:8]
        at.optimizer.zero_grad()
        at.model(x).square().sum().backward()
        at.optimizer.step()
        before, global_state = at.generator.get_state(), torch.get_rng_state()
        event = recipe.between(at)
        assert torch.equal(torch.get_rng_state(), global_state)
        assert torch.equal(at.generator.get_state(), before) is not drawn
        assert event == f"began anew, with {'drawn' if drawn else 'the initial'} weights"
        same = [torch.equal(value, initial[name]) for name, value in at.model.state_dict().items()]
        assert all(same) is not drawn, step
        statistics = next(name for name in initial if name.endswith("running_mean"))
        assert torch.equal(at.model.state_dict()[statistics], initial[statistics])
        assert all(s["momentum_buffer"].eq(0).all() for s in at.optimizer.state.values())


@pytest.mark.parametrize(("name", "passes"), [("sgd", 3), ("amp", 6), ("sam", 6), ("attacked", 2 * 2 + 3)])
def test_flops_are_those_of_every_pass_over_every_image_and_of_the_forgetting(name, passes, tiny, tmp_path):
    """In forward passes F: a step 3F, AMP and SAM 6F, PGD-K (2K + 3)F, SNIP 3F for each image that it looks at."""
    recipe = tiny(LureRecipe, tmp_path / "run", epochs=1, **VARIANTS.get(name, {}))
    run, records = recipe.execute()
    splits = load(recipe.data)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        recipe.network(splits).eval()(splits.test.images[:1])
    forward = counter.get_total_flops()
    first, second = (record for record in records if "test/errors" in record)
    # Nobody asks for the gradient of the images, which the first convolution's backward pass would make.
    for record, forgetting in ((first, 0), (second, 45)):
        assert record["flops_forgetting"] == pytest.approx(3 * forward * forgetting, rel=0.1)
        assert (forgetting == 0) == (record["flops_forgetting"] == 0)
        training = record["flops"] - record["flops_forgetting"]
        assert training == pytest.approx(passes * forward * record["train_images"], rel=0.1)
    assert run.summary()["flops"] == first["flops"] + second["flops"]


@pytest.mark.parametrize(
    ("kind", "sections", "message"),
    [
        (LLFRecipe, {"llf": LLFConfig(from_layer="layer4")}, "no parameter's name contains 'layer4'"),
        (LLFRecipe, {"llf": LLFConfig(official=True)}, "list of later layers is a ResNet-18's"),
        (LureRecipe, {"forgettable": ForgettableConfig(forget_only=("head.*",))}, "'head.\\*' matches no parameter"),
        (AlmaRecipe, {"model": ModelConfig(model="vgg16")}, "cannot take images of 1x8x8"),
    ],
)
def test_what_cannot_be_done_is_told_before_anything_is_written(kind, sections, message, tiny, tmp_path):
    with pytest.raises(lethe.LetheError, match=message):
        tiny(kind, tmp_path / "run", **sections).execute()
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AlmaRecipe(attack=PGD(epsilon=0.1)), "epsilon is of adversarial training: add --adversarial"),
        (
            lambda: AlmaRecipe(amp=AMPUnderAttackConfig(amp_epsilon=0.3)),
            "amp_epsilon is of AMP: add --optimizer-rule amp",
        ),
        (lambda: AlmaRecipe(sam=SAMConfig(rho=0.3)), "rho is of SAM: add --optimizer-rule sam"),
        (lambda: LearningConfig(optimizer_rule="adam"), "unknown optimizer_rule 'adam'"),
        (lambda: MegabatchConfig(lr_state="kept"), "unknown lr_state 'kept'"),
        (
            lambda: AlmaRecipe(
                schedule=ScheduleConfig(schedule="cyclic"), megabatch=MegabatchConfig(lr_state="carried")
            ),
            "a cyclic rate ends at 0",
        ),
        (
            lambda: LureRecipe(lure=LUREConfig(official=True), forgettable=ForgettableConfig(everything=True)),
            "official says by itself what may be forgotten",
        ),
        (
            lambda: AlmaRecipe(learning=LearningConfig(adversarial=True), attack=PGD(targeted=True)),
            "made easier",
        ),
    ],
)
def test_options_that_would_be_ignored_or_do_harm_are_refused(make, message):
    with pytest.raises(lethe.LetheError, match=message):
        make()


def test_an_option_changes_what_is_learnt(tiny, tmp_path):
    made = {}
    for name, sections in {"plain": {}, **VARIANTS}.items():
        recipe = tiny(LureRecipe, tmp_path / name, sgd=SGDConfig(lr=0.1), **sections)
        run, _ = recipe.execute()
        made[name] = load_checkpoint(run.checkpoint("megabatch-2"))["model"]["conv1.weight"]
    assert not any(torch.equal(one, two) for one, two in itertools.combinations(made.values(), 2))
