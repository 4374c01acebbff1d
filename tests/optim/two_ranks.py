"""Run by test_two_ranks.py under torchrun with two gloo ranks: every rule under DDP and FSDP2 against one process."""

import copy
import sys

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

import lethe
from lethe.optim import RULES

SGD = {"lr": 0.05, "momentum": 0.9, "weight_decay": 1e-3}
STEPS = 5


def network(batch_norm):
    torch.manual_seed(0)
    norm = [nn.BatchNorm1d(16)] if batch_norm else []
    return nn.Sequential(nn.Linear(6, 16), *norm, nn.Tanh(), nn.Linear(16, 3)).double()


def halves(step):
    """The global batch of a step, in the two halves that the ranks see."""
    generator = torch.Generator().manual_seed(step)
    x = torch.randn(32, 6, dtype=torch.float64, generator=generator)
    return list(zip(x.chunk(2), torch.randint(3, (32,), generator=generator).chunk(2), strict=True))


def train(rule, model, parts, context=None):
    """Train on the sum of ``parts(step)``, each an equal share of the batch."""
    optimizer = rule.build(model.parameters(), **SGD)
    for step in range(STEPS):
        mine = parts(step)
        torch.manual_seed(step)  # RMP draws the same on every rank

        def closure(mine=mine):
            optimizer.zero_grad()
            for x, y in mine:
                (F.cross_entropy(model(x), y) / len(mine)).backward()

        optimizer.step(closure, **({} if context is None else {"ascent_context": context}))
    return model


def far(a, b):
    return max(float((x.detach() - y.detach()).abs().max()) for x, y in zip(a, b, strict=True))


def check(name, distance):
    if dist.get_rank() == 0:
        print(f"{name}: {distance:.2e}", flush=True)
    assert distance < 1e-9, f"{name}: {distance}"


def amp_apart(model, epsilon=0.1):
    """AMP by hand where each half of the batch perturbs by its own gradient and the last gradients are averaged."""
    velocity = [torch.zeros_like(p) for p in model.parameters()]
    for step in range(STEPS):
        totals = [torch.zeros_like(p) for p in model.parameters()]
        for x, y in halves(step):
            there = copy.deepcopy(model)
            g = torch.autograd.grad(F.cross_entropy(there(x), y), list(there.parameters()))
            for p, d in zip(there.parameters(), g, strict=True):
                p.data.add_(d * min(1.0, epsilon / float(d.norm())))
            g = torch.autograd.grad(F.cross_entropy(there(x), y), list(there.parameters()))
            totals = [t + d / 2 for t, d in zip(totals, g, strict=True)]
        for i, p in enumerate(model.parameters()):
            velocity[i] = SGD["momentum"] * velocity[i] + totals[i] + SGD["weight_decay"] * p.detach()
            p.data.sub_(SGD["lr"] * velocity[i])
    return model


def main():
    dist.init_process_group("gloo")
    rank = dist.get_rank()

    def own(step):
        return [halves(step)[rank]]

    for name, rule in RULES.items():
        for batch_norm in (False, True):
            one = list(train(rule, network(batch_norm), halves).parameters())
            ddp = train(rule, DistributedDataParallel(network(batch_norm)), own)
            check(f"{name}, DDP, batch norm {batch_norm}", far(ddp.parameters(), one))
        apart = DistributedDataParallel(network(False))
        train(rule, apart, own, context=apart.no_sync)
        for parameter in apart.parameters():
            others = [torch.empty_like(parameter) for _ in range(2)]
            dist.all_gather(others, parameter.detach())
            assert torch.equal(*others), f"{name}: ranks differ after ascents without synchronisation"
        if name == "AMP":
            check("AMP, DDP, ascents apart", far(apart.parameters(), amp_apart(network(False)).parameters()))
    shards = RULES if hasattr(torch.cpu.Stream, "record_event") else {}  # torch 2.6 cannot shard on the CPU
    for name, rule in shards.items():
        one = list(train(rule, network(False), halves).parameters())
        sharded = network(False)
        for layer in sharded:
            if list(layer.parameters()):
                fully_shard(layer)
        fully_shard(sharded)
        try:
            train(rule, sharded, own)
        except lethe.LetheError as error:
            if rank == 0:
                print(f"{name}, FSDP2: refused: {error}", flush=True)
            continue
        check(f"{name}, FSDP2", far([p.full_tensor() for p in sharded.parameters()], one))
    dist.destroy_process_group()
    if rank == 0:
        print("all equal", flush=True)


if __name__ == "__main__":
    sys.exit(main())
