"""Run by test_two_ranks.py under torchrun with two gloo ranks: recipes under DDP and FSDP2 against one process."""

import itertools
from dataclasses import replace

import torch
import torch.distributed as dist
from torch import nn

from lethe._launched import leave
from lethe.attacks import PGD
from lethe.data import DataConfig, load
from lethe.engine import ComputeConfig, Processes, RunConfig, ScheduleConfig, processes, train_epoch
from lethe.engine._fsdp2 import whole
from lethe.evaluate import EvaluationConfig, accuracy
from lethe.methods import FOMOConfig
from lethe.models import ModelConfig
from lethe.optim import SGDConfig
from lethe.recipes import TRAIN_RECIPES

EPOCHS = 3
KINDS = ("at", "fomo", "fomo, measured", "fomo, all at once", "amp", "trades", "awp")


class Double(nn.Module):
    """A network in double precision behind images in single, so that only mistakes are left of the differences."""

    def __init__(self, network):
        super().__init__()
        self.network = network.double()

    def forward(self, images):
        return self.network(images.double())


def recipe(name, **compute):
    name, _, variant = name.partition(", ")
    kind = TRAIN_RECIPES[name]
    cls = type("Double" + kind.__name__, (kind,), {"network": lambda self, splits: Double(kind.network(self, splits))})
    sections = {
        "run": RunConfig(device="cpu"),
        "data": DataConfig(train_size=90, validation_size=30, test_size=45),
        "model": ModelConfig(width=4),
        "schedule": ScheduleConfig(epochs=EPOCHS, batch_size=31),  # parts of 15 and 16; the last batch has 28
        "sgd": SGDConfig(lr=0.05, clip_norm=1.0),
        "evaluation": EvaluationConfig(eval_steps=2),
        "compute": ComputeConfig(**compute),
    }
    fields = kind.__dataclass_fields__
    if "attack" in fields:
        sections["attack"] = replace(kind().attack, steps=3)
    if "fomo" in fields:
        reading = "measure" if variant == "measured" else "recompute"
        sections["fomo"] = FOMOConfig(start=0.34, period=1, fraction=0.1, stable_statistics=reading)
    if variant == "all at once":  # in single precision a rounding can change which channel has the least gradient
        ranked = {"criterion": "gradient", "granularity": "channels", "criterion_images": 60}
        sections["fomo"] = replace(sections["fomo"], **ranked)
        sections["robust"] = replace(kind().robust, objective="trades")
        sections["weights"] = replace(kind().weights, weights="awp")
    return cls(**sections)


def train(name, together, **compute):
    """The training after some epochs, the records, and the robust accuracy of both models."""
    made = recipe(name, **compute)
    splits = load(made.data)
    training = made.build(splits, together)
    records = [train_epoch(training, splits.train, batch_size=made.schedule.batch_size) for _ in range(EPOCHS)]
    share = {"rank": together.rank, "ranks": together.count, "total": together.sum}
    models = [training.model] + [training.method.stable] * (training.method.stable is not None)
    attack = PGD(steps=2)
    accuracies = [accuracy(m, splits.test, attack=attack, batch_size=20, **share) for m in models]
    return training, [{**r, "seconds": 0} for r in records], accuracies


def far(one, two):
    """The largest difference between two nested states."""
    if isinstance(one, torch.Tensor):
        return float((one.double() - two.double()).abs().max()) if one.numel() else 0.0
    if isinstance(one, dict):
        assert one.keys() == two.keys(), set(one) ^ set(two)
        return max([far(one[key], two[key]) for key in one], default=0.0)
    if isinstance(one, (list, tuple)):
        return max([far(a, b) for a, b in zip(one, two, strict=True)], default=0.0)
    if isinstance(one, float):
        return abs(one - two)
    assert one == two, (one, two)
    return 0.0


def same_on_all_ranks(state):
    mine = [value for value in state.values() if isinstance(value, torch.Tensor)]
    for value in mine:
        others = [torch.empty_like(value) for _ in range(2)]
        dist.all_gather(others, value)
        assert torch.equal(*others)


def main():
    groups = {strategy: processes(torch.device("cpu"), 2, strategy) for strategy in ("ddp", "fsdp2")}
    for name, (strategy, together) in itertools.product(KINDS, groups.items()):
        alone, records, accuracies = train(name, Processes())
        training, found, measured = train(name, together, strategy=strategy)
        states = [
            {part: t.state_dict()[part] for part in ("model", "optimizer", "method", "generators")}
            for t in (training, alone)
        ]
        distance = max(far(*states), far(measured, accuracies))
        assert far(found, records) < 1e-5  # losses are summed in single precision
        if together.first:
            print(f"{name}, {strategy}: {distance:.1e}", flush=True)
        assert distance < 1e-8, (name, strategy, distance)
        same_on_all_ranks(whole(training.model.state_dict()))
        if training.method.stable is not None:
            same_on_all_ranks(whole(training.method.stable.state_dict()))
    # What is not one process's result must still be the same in both.
    for compute in ({"sync_batch_norm": False}, {"accumulate": 3}, {"sync_batch_norm": False, "accumulate": 20}):
        training, _, _ = train("fomo, measured", groups["ddp"], **compute)
        for model in (training.model, training.method.stable):
            same_on_all_ranks(model.state_dict())
        if groups["ddp"].first:
            print(f"fomo, {compute}: the ranks agree", flush=True)
    apart, _, _ = train("amp", groups["ddp"], apart=True)
    same_on_all_ranks(apart.model.state_dict())
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
    leave(0)
