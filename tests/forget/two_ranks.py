"""Run by test_two_ranks.py under torchrun with two gloo ranks: forgetting under DDP and FSDP2 against one process."""

import copy
from functools import partial

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch.distributed.fsdp import fully_shard
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.nn.parallel import DistributedDataParallel

import lethe
from lethe import forget
from lethe._launched import leave
from lethe.consolidate import MeasuredStatistics, StableModel
from lethe.forget import CRITERIA, Wanted


def network():
    torch.manual_seed(0)
    layers = [nn.Linear(6, 7), nn.BatchNorm1d(7), nn.Tanh(), nn.Linear(7, 5), nn.ReLU(), nn.Linear(5, 3)]
    return nn.Sequential(*layers).double()


def sharded(model):
    """Layers are units of their own but the last, which is the root's; 7, 5 and 3 rows do not cut evenly in two."""
    for layer in model[:-1]:
        if list(layer.parameters()):
            fully_shard(layer)
    return fully_shard(model)


def batches(step=0):
    """The two ranks' batches."""
    generator = torch.Generator().manual_seed(step)
    x = torch.randn(24, 6, dtype=torch.float64, generator=generator)
    return list(zip(x.chunk(2), torch.randint(3, (24,), generator=generator).chunk(2), strict=True))


def whole(tensor):
    tensor = tensor.detach()
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def same(name, mine, expected, tolerance=0.0):
    for key, value in expected.items():
        distance = float((whole(mine[key]).double() - value.detach().double()).abs().max())
        assert distance <= tolerance, f"{name}: {key} is {distance} away"
    if dist.get_rank() == 0:
        print(f"{name}: equal", flush=True)


def masks_of(criterion, model, shown, wanted):
    return CRITERIA[criterion].mask(model, shown, wanted, torch.Generator().manual_seed(5))


def ddp(own):
    """Masks and new weights are those of one process that sees both ranks' batches."""
    for criterion in CRITERIA:
        for granularity in ("weights", "channels"):
            wanted = Wanted(0.3, None, granularity, "overall", 0.8)
            alone = network()
            expected = masks_of(criterion, alone, batches(), wanted)
            model = DistributedDataParallel(network())
            masks = masks_of(criterion, model, [own()], wanted)
            assert list(masks) == list(expected)
            same(f"DDP, {criterion}, {granularity}", masks, expected)
            forget.reinitialize(alone, expected, generator=torch.Generator().manual_seed(1))
            forget.reinitialize(model, masks, generator=torch.Generator().manual_seed(1))
            same(f"DDP, {criterion}, {granularity}, re-drawn", model.module.state_dict(), alone.state_dict())


def fsdp(own):
    """Shards of masks, weights and optimizer state are the parts of one process's."""
    both = [tuple(torch.cat(parts) for parts in zip(*batches(), strict=True))]
    for criterion in CRITERIA:
        # FSDP2 hands out the mean of the ranks' gradients: Fisher's single images must be the same on both.
        shown, seen = ([own()], both) if criterion != "fisher" else (both, both)
        for granularity, count in (("weights", "overall"), ("weights", "per-tensor"), ("channels", "overall")):
            wanted = Wanted(0.3, None, granularity, count, 0.8)
            expected, model = masks_of(criterion, network(), seen, wanted), sharded(network())
            masks = masks_of(criterion, model, shown, wanted)
            assert all(p.grad is None for p in model.parameters())
            same(f"FSDP2, {criterion}, {granularity}, {count}", masks, expected)
            assert masks["0.weight"].to_local().shape[0] < 7
    wanted = Wanted(0.3, None, "channels", "overall", 0.8)
    masks = masks_of("dormant", fully_shard(network()), [own()], wanted)
    same("FSDP2, dormant, one unit", masks, masks_of("dormant", network(), both, wanted))
    ties(sharded(nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 3))))
    for options in ({}, {"init": "kaiming"}, {"init": "zero", "shrink": 0.5}, {"state": "mean"}, {"init": "rewind"}):
        alone, model = network(), sharded(network())
        born = {"initial": copy.deepcopy(alone.state_dict())} if options.get("init") == "rewind" else {}
        optimizers = [torch.optim.Adam(m.parameters(), 0.01) for m in (alone, model)]
        for m, optimizer, shown in ((alone, optimizers[0], both[0]), (model, optimizers[1], own())):
            F.cross_entropy(m.eval()(shown[0]), shown[1]).backward()
            optimizer.step()
        masks = forget.random_mask(alone, 0.5, select=forget.everything, generator=torch.Generator().manual_seed(3))
        reports = [
            forget.reinitialize(
                m, masks, optimizer=o, generator=torch.Generator().manual_seed(1), statistics="reset", **options, **born
            )
            for m, o in zip((alone, model), optimizers, strict=True)
        ]
        assert reports[0] == reports[1]
        same(f"FSDP2, {options}", dict(model.named_parameters()), dict(alone.named_parameters()), 1e-9)
        same(f"FSDP2, {options}, statistics", dict(model.named_buffers()), dict(alone.named_buffers()))
        for mine, theirs in zip(model.parameters(), alone.parameters(), strict=True):
            states = [o.state[p] for o, p in zip(optimizers, (theirs, mine), strict=True)]
            for key in ("exp_avg", "exp_avg_sq"):
                torch.testing.assert_close(whole(states[1][key]), states[0][key], rtol=1e-9, atol=1e-15)


def ties(model):
    """Of equal weights the first in the network's order go, across ranks."""
    with torch.no_grad():
        for p in model.parameters():
            p.fill_(1.0)
    masks = forget.magnitude_mask(model, 0.8, ties="first")  # 28 of 20 + 15
    assert whole(masks["0.weight"]).all()
    assert whole(masks["1.weight"]).flatten().tolist() == [True] * 8 + [False] * 7
    masks = forget.magnitude_mask(model, 0.4, ties="first")
    assert whole(masks["0.weight"]).flatten().tolist() == [True] * 14 + [False] * 6


def train(model, parts, stable=None, **options):
    """FOMO over some steps; ``parts(step)`` are this process's equal shares of the batch."""
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    fomo = lethe.FOMO(
        model, optimizer, start=1, period=2, fraction=0.3, average_phases=1.25,
        generator=torch.Generator().manual_seed(0), stable=stable, **options,
    )  # fmt: skip
    for epoch in range(4):
        fomo.begin_epoch(epoch, parts(100 + epoch))
        model.eval()  # each rank's batch statistics would be its own
        for step in range(2):
            optimizer.zero_grad()
            for x, y in (mine := parts(10 * epoch + step)):
                logits = model(x)
                ((F.cross_entropy(logits, y) + fomo.consistency(x, logits)) / len(mine)).backward()
            optimizer.step()
            fomo.end_step()
        with torch.no_grad():
            model(parts(0)[0][0])  # which leaves FSDP2's parameters gathered
    assert fomo.forgettings == 2
    return dict(model.named_parameters()), fomo.stable.state_dict()


def fomo_on_ranks(own_parts, can_shard):
    for options in ({}, {"criterion": "magnitude", "average": "phase"}, {"criterion": "gradient", "reinit": "rewind"}):
        expected = train(network(), batches, **options)
        model = DistributedDataParallel(network())
        mine = train(model, own_parts, **options)
        mine = ({name.removeprefix("module."): p for name, p in mine[0].items()}, mine[1])
        for part, found, wanted in zip(("working", "stable"), mine, expected, strict=True):
            same(f"DDP, FOMO {options}, {part}", found, wanted, 1e-9)
        if not can_shard:
            continue
        mine = train(sharded(network()), own_parts, stable=sharded(network()), **options)
        for part, found, wanted in zip(("working", "stable"), mine, expected, strict=True):
            same(f"FSDP2, FOMO {options}, {part}", found, wanted, 1e-9)


def compiled_and_unseeded(own):
    """A compiled network's criteria see all ranks; ranks that are seeded apart agree where FOMO has no generator."""
    for criterion in ("snip", "dormant"):
        wanted = Wanted(0.3, None, "channels", "overall", 0.8)
        model = torch.compile(DistributedDataParallel(network()), backend="eager")
        model.eval()(own()[0])
        masks = masks_of(criterion, model, [own()], wanted)
        same(f"compiled DDP, {criterion}", masks, masks_of(criterion, network(), batches(), wanted))
    model = network()
    torch.manual_seed(dist.get_rank())
    parallel = DistributedDataParallel(model)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    fomo = lethe.FOMO(parallel, optimizer, start=0, period=1, average="stochastic", average_probability=0.5, decay=0.5)
    for epoch in range(3):
        fomo.begin_epoch(epoch)
        parallel.eval()
        x, y = own(epoch)
        optimizer.zero_grad()
        logits = parallel(x)
        (F.cross_entropy(logits, y) + fomo.consistency(x, logits)).backward()
        optimizer.step()
        fomo.end_step()
    for name, part in (("working", model), ("stable", fomo.stable)):
        first = {key: value.detach().clone() for key, value in part.state_dict().items()}
        for value in first.values():
            dist.broadcast(value, 0)
        same(f"DDP without a generator, {name}", part.state_dict(), first)


def state_in_shares(own):
    """An optimizer whose ranks keep a share of the state each forgets all of what was forgotten."""
    model = DistributedDataParallel(network())
    optimizer = ZeroRedundancyOptimizer(model.parameters(), torch.optim.SGD, lr=0.1, momentum=0.9)
    x, y = own()
    F.cross_entropy(model(x), y).backward()
    optimizer.step()
    mine = [state["momentum_buffer"] for p, state in optimizer.optim.state.items() if p.ndim == 2]
    assert mine
    assert all((momentum != 0).any() for momentum in mine)
    forget.reinitialize(
        model, forget.whole_mask(model), optimizer=optimizer, generator=torch.Generator().manual_seed(0)
    )
    assert all((momentum == 0).all() for momentum in mine)


def measured(can_shard):
    """Statistics are those of what all ranks are shown, in parts of any length."""
    parts = [x[: 5 + 3 * rank] for rank, (x, _) in enumerate(batches())]
    wraps = {"DDP": DistributedDataParallel, "sync": nn.SyncBatchNorm.convert_sync_batchnorm, "FSDP2": sharded}
    for name, wrap in wraps.items():
        if name == "FSDP2" and not can_shard:
            continue
        alone, stable = network().eval(), network().eval()
        expected = MeasuredStatistics(alone, alone)
        found = MeasuredStatistics(
            nn.SyncBatchNorm.convert_sync_batchnorm(stable) if name == "sync" else stable, wrap(network())
        )
        for x in parts:
            expected.ask(partial(alone, x))
        found.ask(partial(stable, parts[dist.get_rank()]))
        expected.move()
        found.move()
        same(f"statistics measured, {name}", stable.state_dict(), alone.state_dict(), 1e-12)


def main():
    dist.init_process_group("gloo")
    rank = dist.get_rank()

    def own(step=0):
        return batches(step)[rank]

    can_shard = hasattr(torch.cpu.Stream, "record_event")  # torch 2.6 cannot shard on the CPU
    ddp(own)
    compiled_and_unseeded(own)
    state_in_shares(own)
    measured(can_shard)
    if can_shard:
        fsdp(own)
        try:
            StableModel(sharded(network()), 0.9)
        except lethe.LetheError as error:
            assert "build and shard it twice" in str(error)  # noqa: PT017 - no pytest in a rank
        else:
            raise AssertionError("a sharded network was copied")
    fomo_on_ranks(lambda step: [own(step)], can_shard)
    dist.destroy_process_group()
    if rank == 0:
        print("all equal", flush=True)


if __name__ == "__main__":
    main()
    leave(0)
