"""Run by test_two_ranks.py under torchrun with two gloo ranks: every rule under DDP and FSDP2 against one process."""

import copy
import itertools

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

import lethe
from lethe._launched import leave
from lethe.optim import RULES

SGD = {"lr": 0.05, "momentum": 0.9, "weight_decay": 1e-3}
STEPS = 5


DTYPES = {torch.float64: 1e-9, torch.bfloat16: 0.05, torch.float16: 0.02}
"""What is trained in: double precision, to rounding; the others under autocast, to a share of the way travelled."""


def network(batch_norm, dtype=torch.float64):
    torch.manual_seed(0)
    norm = [nn.BatchNorm1d(16)] if batch_norm else []
    return nn.Sequential(nn.Linear(6, 16), *norm, nn.Tanh(), nn.Linear(16, 3)).to(dtype)


def halves(step):
    """The global batch of a step, in the two halves that the ranks see."""
    generator = torch.Generator().manual_seed(step)
    x = torch.randn(32, 6, dtype=torch.float64, generator=generator)
    return list(zip(x.chunk(2), torch.randint(3, (32,), generator=generator).chunk(2), strict=True))


def train(rule, model, parts, context=None, dtype=torch.float64, spoil=None, swap=False, foreach=None):
    """Train on the sum of ``parts(step)``, each an equal share of the batch.

    ``spoil``: (step, pass) that overflows. ``swap``: half way, another optimizer goes on from the saved state.
    """
    optimizer = rule.build(model.parameters(), **SGD, foreach=foreach)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10) if dtype is torch.float16 else None
    for step in range(STEPS):
        mine, passes = parts(step), []
        torch.manual_seed(step)  # RMP draws the same on every rank
        if swap and step == STEPS // 2:
            state = copy.deepcopy(optimizer.state_dict())
            optimizer = rule.build(model.parameters(), **SGD, foreach=foreach)
            optimizer.load_state_dict(state)

        def closure(mine=mine, passes=passes, step=step, optimizer=optimizer):
            optimizer.zero_grad()
            for x, y in mine:
                images = x if dtype is torch.float64 else x.float()
                with torch.autocast("cpu", dtype=dtype, enabled=dtype in (torch.bfloat16, torch.float16)):
                    loss = F.cross_entropy(model(images), y) / len(mine)
                if spoil == (step, len(passes)):
                    loss = loss * float("inf")
                (loss if scaler is None else scaler.scale(loss)).backward()
            passes.append(1)

        how = {} if context is None else {"ascent_context": context}
        optimizer.step(closure, **how, **({} if scaler is None else {"grad_scaler": scaler}))
        if scaler is not None:
            scaler.update()
    return model, scaler


def in_four(parts):
    """Each half as two micro-batches: four in all."""
    return lambda step: [
        (x_part, y_part) for x, y in parts(step) for x_part, y_part in zip(x.chunk(2), y.chunk(2), strict=True)
    ]


def far(a, b):
    return max(float((x.detach() - y.detach()).abs().max()) for x, y in zip(a, b, strict=True))


def check(name, distance, bound=1e-9):
    if dist.get_rank() == 0:
        print(f"{name}: {distance:.2e}", flush=True)
    assert distance < bound, f"{name}: {distance}"


def of_the_way(a, b, batch_norm):
    """How far a is from b, as a share of how far b is from where both began."""

    def length(one, two):
        return sum(
            float((x.detach().double() - y.detach().double()).square().sum()) for x, y in zip(one, two, strict=True)
        )

    return (length(a, b) / length(b, list(network(batch_norm).parameters()))) ** 0.5


def same_on_all_ranks(name, parameters):
    for parameter in parameters:
        others = [torch.empty_like(parameter) for _ in range(2)]
        dist.all_gather(others, parameter.detach())
        assert torch.equal(*others), f"{name}: the ranks differ"


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


def ddp(name, rule, own, exact):
    """Every cell under DDP: batch norm, micro-batches, precision, ascents synchronised or apart."""
    for batch_norm, dtype, cut in itertools.product((False, True), DTYPES, ("whole", "in four")):
        stored = torch.float64 if dtype is torch.float64 else torch.float32
        # Micro-batches of a network with batch norm have statistics of their own; without, they are the whole batch.
        expected = exact[batch_norm, cut if batch_norm else "whole", stored]
        cell = f"{name}, DDP, batch norm {batch_norm}, {dtype}, {cut}"
        parts = own if cut == "whole" else in_four(own)
        start = network(batch_norm, stored)
        foreach = None if cut == "whole" else False  # plain kernels have a half of the cells
        model, _ = train(rule, DistributedDataParallel(start), parts, dtype=dtype, foreach=foreach)
        trained = list(model.parameters())
        if dtype is torch.float64:
            check(cell, far(trained, expected))
        else:
            check(cell, of_the_way(trained, expected, batch_norm), DTYPES[dtype])
        twin = DistributedDataParallel(network(batch_norm, stored))
        swapped, _ = train(rule, twin, parts, dtype=dtype, swap=True, foreach=foreach)
        assert far(swapped.parameters(), trained) == 0.0, f"{cell}: does not go on to the bit"
        apart = DistributedDataParallel(copy.deepcopy(start))
        train(rule, apart, parts, context=apart.no_sync, dtype=dtype)
        same_on_all_ranks(f"{cell}, ascents apart", apart.parameters())
    for batch_norm in (False, True):
        compiled = DistributedDataParallel(torch.compile(network(batch_norm), backend="aot_eager"))
        trained = list(train(rule, compiled, own)[0].parameters())
        check(
            f"{name}, DDP, compiled, batch norm {batch_norm}", far(trained, exact[batch_norm, "whole", torch.float64])
        )
    apart = DistributedDataParallel(network(False))
    train(rule, apart, own, context=apart.no_sync)
    if name == "AMP":
        check("AMP, DDP, ascents apart", far(apart.parameters(), amp_apart(network(False)).parameters()))
    overflow_on_one_rank(name, rule, own)


def overflow_on_one_rank(name, rule, own):
    """An ascent without synchronisation overflows on rank 1 alone: both skip that step, and go on alike."""
    if rule.passes == 1:
        return
    model = DistributedDataParallel(network(False, torch.float32))
    spoil = (2, 0) if dist.get_rank() == 1 else None
    _, scaler = train(rule, model, own, context=model.no_sync, dtype=torch.float16, spoil=spoil)
    same_on_all_ranks(f"{name}, overflow on one rank", model.parameters())
    assert scaler.get_scale() == 2.0**9, f"{name}: rank {dist.get_rank()} has not skipped"
    assert all(torch.isfinite(p).all() for p in model.parameters())


def fsdp(name, rule, own, exact):
    """Every cell under FSDP2, where it is not refused."""
    for batch_norm, dtype, cut in itertools.product((False, True), DTYPES, ("whole", "in four")):
        stored = torch.float64 if dtype is torch.float64 else torch.float32
        sharded, swapped = sharded_network(batch_norm, stored), sharded_network(batch_norm, stored)
        parts, foreach = (own, None) if cut == "whole" else (in_four(own), False)
        try:
            train(rule, sharded, parts, dtype=dtype, foreach=foreach)
        except lethe.LetheError as error:
            if dist.get_rank() == 0:
                print(f"{name}, FSDP2: refused: {error}", flush=True)
            return
        trained = [p.full_tensor() for p in sharded.parameters()]
        train(rule, swapped, parts, dtype=dtype, swap=True, foreach=foreach)
        cell = f"{name}, FSDP2, batch norm {batch_norm}, {dtype}, {cut}"
        assert far([p.full_tensor() for p in swapped.parameters()], trained) == 0.0, (
            f"{cell}: does not go on to the bit"
        )
        expected = exact[batch_norm, cut if batch_norm else "whole", stored]
        if dtype is torch.float64:
            check(cell, far(trained, expected))
        else:
            check(cell, of_the_way(trained, expected, batch_norm), DTYPES[dtype])


def sharded_network(batch_norm, stored):
    sharded = network(batch_norm, stored)
    for layer in sharded:
        if list(layer.parameters()):
            fully_shard(layer)
    return fully_shard(sharded)


def main():
    dist.init_process_group("gloo")
    rank = dist.get_rank()

    def own(step):
        return [halves(step)[rank]]

    for name, rule in RULES.items():
        exact = {
            (batch_norm, cut, stored): list(
                train(rule, network(batch_norm, stored), parts, dtype=stored)[0].parameters()
            )
            for batch_norm, stored in itertools.product((False, True), (torch.float64, torch.float32))
            for cut, parts in (("whole", halves), ("in four", in_four(halves)))
        }
        ddp(name, rule, own, exact)
        if hasattr(torch.cpu.Stream, "record_event"):  # torch 2.6 cannot shard on the CPU
            fsdp(name, rule, own, exact)
    dist.destroy_process_group()
    if rank == 0:
        print("all equal", flush=True)


if __name__ == "__main__":
    main()
    leave(0)
