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
from lethe.engine._compute import Compute, has_bf16
from lethe.engine._observer import Observer
from lethe.recipes import TRAIN_RECIPES, AMPRecipe, ATRecipe, AWPRecipe, FOMORecipe, RWPRecipe, SGDRecipe, TRADESRecipe

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


def test_batches_too_small_for_the_devices_are_refused(tiny):
    class Three(Processes):
        count = 3

    recipe = tiny(SGDRecipe)
    splits = load(DataConfig(train_size=5, validation_size=5, test_size=5))
    training = recipe.build(splits, Three())
    with pytest.raises(lethe.LetheError, match="3 devices need batches of at least 6"):
        train_epoch(training, splits.train, batch_size=64)
