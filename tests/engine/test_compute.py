"""How a step is computed: precisions, micro-batches, and what is refused."""

import copy
from dataclasses import fields, replace

import pytest
import torch
from torch import nn

import lethe
from lethe._rows import Rows
from lethe.attacks import PGD, fgsm
from lethe.data import DataConfig, load
from lethe.engine import ComputeConfig, Processes, RunDirectory, load_checkpoint, train_epoch
from lethe.engine._batch_norm import synchronise_batch_norm
from lethe.engine._compute import Compute, has_bf16
from lethe.engine._epoch_progress import EpochProgress
from lethe.engine._observer import Observer
from lethe.engine._saving import Saving
from lethe.optim import RWPConfig
from lethe.recipes import (
    TRAIN_RECIPES,
    AMPRecipe,
    ATRecipe,
    AWPRecipe,
    FOMORecipe,
    RMPRecipe,
    RWPRecipe,
    SGDRecipe,
    TRADESRecipe,
)

KINDS = [SGDRecipe, AMPRecipe, ATRecipe, TRADESRecipe, FOMORecipe, AWPRecipe, RWPRecipe]


class WithoutBatchNorm(nn.Module):
    """In double precision; no statistics of the batch, so that its parts can be told from mistakes."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.Tanh(), nn.Linear(16, 10)).double()

    def forward(self, images):
        return self.layers(images.double())


def trained(kind, tiny, **compute):
    """The training of a small network after two epochs."""
    made = tiny(kind, compute=ComputeConfig(**{"precision": "fp32", **compute}))
    cls = type(kind.__name__, (kind,), {"network": lambda self, splits: WithoutBatchNorm()})
    made = cls(**{field.name: getattr(made, field.name) for field in fields(made)})
    splits = load(made.data)
    training = made.build(splits)
    records = [train_epoch(training, splits.train, batch_size=33) for _ in range(2)]
    return training, records


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("parts", [2, 5])
def test_micro_batches_give_the_result_of_the_batch(kind, parts, tiny):
    (whole, records), (cut, found) = trained(kind, tiny), trained(kind, tiny, accumulate=parts)
    for one, two in zip(whole.model.parameters(), cut.model.parameters(), strict=True):
        assert torch.allclose(one, two, rtol=0, atol=1e-10)
    for one, two in zip(records, found, strict=True):
        assert one["train/loss"] == pytest.approx(two["train/loss"], abs=1e-5)
        assert one["train/accuracy"] == two["train/accuracy"]
    assert torch.equal(whole.generators["attack"].get_state(), cut.generators["attack"].get_state())


@pytest.mark.parametrize(
    "attack", [PGD(steps=2), PGD(norm="l2", epsilon=0.5, steps=2), PGD(restarts=3, steps=1), fgsm()]
)
def test_the_rows_of_a_batch_are_attacked_as_in_the_batch(attack):
    torch.manual_seed(0)
    model, x, y = WithoutBatchNorm(), torch.rand(7, 1, 8, 8), torch.arange(7)
    whole = attack(model, x, y, torch.Generator().manual_seed(1))
    for rows in (slice(0, 3), slice(3, 4), slice(4, 7)):
        source = Rows(torch.Generator().manual_seed(1), rows.start, 7)
        assert torch.equal(attack(model, x[rows], y[rows], source), whole[rows])


@pytest.mark.parametrize("name", ["flooding", "mixup"])
def test_what_needs_the_whole_batch_is_refused_in_parts(name, tiny, tmp_path):
    recipe = tiny(TRAIN_RECIPES[name], tmp_path / "run", compute=ComputeConfig(accumulate=2))
    with pytest.raises(lethe.LetheError, match="needs whole batches: set accumulate to 1"):
        recipe.execute()
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_ends_near_single(kind, precision, tiny, tmp_path):
    ends = {}
    for name in ("fp32", precision):
        recipe = tiny(kind, tmp_path / name, epochs=3, compute=ComputeConfig(precision=name))
        recipe = replace(recipe, sgd=replace(recipe.sgd, lr=0.02, clip_norm=1.0))
        _, records = recipe.execute()
        ends[name] = [record["train/loss"] for record in records]
    assert ends["fp32"] != ends[precision]
    assert ends["fp32"] == pytest.approx(ends[precision], abs=0.1)


def test_a_run_in_fp16_stopped_and_resumed_equals_one_left_alone(tiny, tmp_path, assert_same_bits):
    class Stops(Observer):
        def step(self, epochs):
            self.asked = 1.2 < epochs < 1.7

        def stop_asked(self):
            return self.asked

    folders = [tmp_path / "alone", tmp_path / "stopped"]
    one, two = (tiny(AMPRecipe, f, epochs=3, compute=ComputeConfig(precision="fp16")) for f in folders)
    one.execute()
    with pytest.raises(KeyboardInterrupt):
        two.execute(observer=Stops())
    two.execute(resume=RunDirectory.open(folders[1]))
    states = [load_checkpoint(folder / "checkpoints" / "last.pt") for folder in folders]
    assert states[0]["compute"]["_growth_tracker"] > 0  # steps without an overflow: the scale is part of the state
    assert_same_bits(*states)


def test_a_step_that_overflows_is_left_out_and_the_scale_falls(tiny):
    recipe = tiny(SGDRecipe, compute=ComputeConfig(precision="fp16"))
    splits = load(recipe.data)
    training = recipe.build(splits)
    before = copy.deepcopy(training.model.state_dict())
    scaler = training.compute.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**120)
    train_epoch(training, splits.train, batch_size=100)
    assert scaler.get_scale() == 2.0**119
    after = training.model.state_dict()
    assert all(torch.equal(before[n], after[n]) for n, _ in training.model.named_parameters())


@pytest.mark.parametrize("kind", [RWPRecipe, RMPRecipe, AMPRecipe])
def test_losses_of_steps_that_are_left_out_are_not_taken_for_divergence(kind, tiny):
    """RWP reports its last pass, which after an overflow runs at weights that are not finite on purpose."""
    everyone = {"rwp": RWPConfig(rwp_steps=2, rwp_threshold=100.0)} if kind is RWPRecipe else {}
    recipe = tiny(kind, compute=ComputeConfig(precision="fp16"), **everyone)
    splits = load(recipe.data)
    training = recipe.build(splits)
    training.compute.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**21)
    seen = []

    def look(share):
        progress = training.progress
        seen.append((int(progress.left_out), progress.mean_loss(lambda value: value)))
        state = progress.state_dict(lambda value: value)
        again = EpochProgress.from_state(state, torch.device("cpu"))
        assert again.left_out == state["left_out"] == int(progress.left_out)

    record = train_epoch(training, splits.train, batch_size=8, on_step=look)
    assert training.compute.scaler.get_scale() < 2.0**21
    assert 1.0 < record["train/loss"] < 10.0
    assert record["train/loss"] == pytest.approx(seen[-1][1])
    assert (seen[-1][0] > 0) == (kind is RWPRecipe)
    training.compute.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**120)
    if kind is RWPRecipe:  # not one step of the epoch was finite
        with pytest.raises(lethe.LetheError, match="the loss is nan in epoch 2"):
            train_epoch(training, splits.train, batch_size=100)


def test_images_are_not_rounded_before_the_network_has_them():
    class Keeps(nn.Module):
        def forward(self, images):
            self.seen = images
            return images.flatten(1)[:, :2]

    model = Keeps()
    x = torch.rand(2, 1, 2, 2)
    Compute(ComputeConfig(precision="bf16")).network(model)(x)
    assert torch.equal(model.seen, x)


def test_auto_is_bf16_where_the_device_has_it_and_the_config_says_which(tiny, tmp_path):
    meant = "bf16" if has_bf16(torch.device("cpu")) else "fp32"
    directory, _ = tiny(ATRecipe, tmp_path / "run", compute=ATRecipe().compute, epochs=1).execute()
    assert directory.config()["compute"]["precision"] == meant
    assert SGDRecipe().compute.precision == "fp32"
    assert not has_bf16(torch.device("meta"))


def test_batches_too_small_for_the_devices_are_refused_before_anything_is_written(tiny):
    class Three(Processes):
        count = 3

    recipe = tiny(SGDRecipe)
    splits = load(DataConfig(train_size=5, validation_size=5, test_size=5))
    with pytest.raises(lethe.LetheError, match="3 devices need at least 6 training images, and there are 5"):
        recipe.build(splits, Three())


def test_apart_is_refused_where_it_would_do_nothing_or_cannot_be(tiny, tmp_path):
    with pytest.raises(lethe.LetheError, match="take strategy ddp"):
        ComputeConfig(apart=True, strategy="fsdp2", devices=2)
    for kind in (SGDRecipe, AMPRecipe):
        with pytest.raises(lethe.LetheError, match="apart is for several devices and an optimizer of two passes"):
            tiny(kind, tmp_path / "run", compute=ComputeConfig(apart=True)).execute()
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("images", [34, 35, 66])
def test_no_part_has_a_single_image(images, tiny, tmp_path):
    """Batch norm over one value a channel is an error of torch's."""

    class Looks(nn.Module):
        def __init__(self):
            super().__init__()
            self.seen, self.layer = [], nn.Linear(64, 10)

        def forward(self, x):
            if self.training:
                self.seen.append(len(x))
            return self.layer(x.flatten(1))

    class LooksRecipe(SGDRecipe):
        def network(self, splits):
            return Looks()

    made = tiny(SGDRecipe, compute=ComputeConfig(accumulate=3), data=DataConfig(train_size=images, test_size=9))
    recipe = LooksRecipe(**{field.name: getattr(made, field.name) for field in fields(made)})
    training = recipe.build(load(recipe.data))
    train_epoch(training, load(recipe.data).train, batch_size=32)
    assert sum(training.model.seen) == images
    assert min(training.model.seen) >= 2


def test_a_norm_with_something_inside_is_not_made_a_plain_one():
    class NormAndActivation(nn.BatchNorm2d):
        def forward(self, x):
            return super().forward(x).relu()

    with pytest.raises(lethe.LetheError, match=r"'1', a NormAndActivation, cannot see .* --no-sync-batch-norm"):
        synchronise_batch_norm(nn.Sequential(nn.Conv2d(3, 4, 1), NormAndActivation(4)))
    plain = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    parameters = list(plain.parameters())
    assert all(a is b for a, b in zip(synchronise_batch_norm(plain).parameters(), parameters, strict=True))
    x = torch.rand(2, 3, 4, 4)
    assert torch.equal(plain.eval()(x), nn.Sequential(*plain)(x))


def test_a_stop_after_the_loss_has_become_nan_is_an_error_and_saves_nothing(tiny):
    saved = []

    class Asks(Observer):
        def stop_asked(self):
            return True

    recipe = tiny(SGDRecipe)
    splits = load(recipe.data)
    training = recipe.build(splits)
    saving = Saving(lambda: saved.append(1), Asks(), 10.0, Processes())
    with torch.no_grad():
        next(training.model.parameters()).fill_(float("nan"))
    with pytest.raises(lethe.LetheError, match="the loss is nan in epoch 1: training has diverged"):
        train_epoch(training, splits.train, batch_size=32, on_step=lambda share: saving.after_step(training, share))
    assert not saved


def test_ranks_of_which_one_overflows_alone_have_one_mean():
    """Of the two of five images that the other one counted."""
    ranks = [EpochProgress.begin(torch.zeros(0), None, torch.device("cpu"), 0.1) for _ in range(2)]
    for rank, loss, part in zip(ranks, (float("inf"), 4.0), (3, 2), strict=True):
        rank.add(torch.tensor(loss), torch.tensor(1), part, 5, scaled=True)
    states = []
    for rank in ranks:
        sums = {
            id(getattr(rank, name)): sum(getattr(r, name) for r in ranks) for name in ("loss", "left_out", "correct")
        }
        assert rank.mean_loss(lambda value, sums=sums: sums[id(value)]) == 2.0
        states.append(rank.state_dict(lambda value, sums=sums: sums[id(value)]))
    assert states[0]["left_out"] == states[1]["left_out"] == 3
    resumed = [EpochProgress.from_state(states[0], torch.device("cpu"), ours=ours) for ours in (True, False)]
    assert [int(rank.left_out) for rank in resumed] == [3, 0]
