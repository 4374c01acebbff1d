"""Every rule in every cell of the support matrix on one process, against the fp32 run, and resumed to the bit."""

import copy
import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from two_pass_trials import every_rule

import lethe
from lethe.optim import RULES

STEPS, STOP = 8, 4
BOUNDS = {torch.float32: 1e-5, torch.bfloat16: 0.05, torch.float16: 0.02}  # of the way travelled

dtypes = pytest.mark.parametrize("dtype", BOUNDS, ids=str)


class Run:
    """A training run that can be saved and loaded at any step."""

    def __init__(self, rule, dtype, *, parts=1, batch_norm=True, compiled=None, **options):
        torch.manual_seed(0)
        norm = [nn.BatchNorm1d(16)] if batch_norm else []
        self.model = nn.Sequential(nn.Linear(6, 16), *norm, nn.Tanh(), nn.Linear(16, 3))
        self.forward = self.model
        if compiled == "network":
            self.forward = torch.compile(self.model, backend="aot_eager")
        elif compiled == "in place":
            self.model.compile(backend="aot_eager")
        elif compiled == "function":
            self.forward = torch.compile(lambda x: self.model(x), backend="aot_eager")
        if compiled:
            options["modules"] = self.model
        self.optimizer = rule.build(self.model.parameters(), lr=0.05, momentum=0.9, **options)
        self.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10) if dtype is torch.float16 else None
        self.dtype, self.parts, self.done = dtype, parts, 0
        torch.manual_seed(1)

    def step(self):
        generator = torch.Generator().manual_seed(self.done)
        x, y = torch.randn(32, 6, generator=generator), torch.randint(3, (32,), generator=generator)

        def closure():
            self.optimizer.zero_grad()
            for part_x, part_y in zip(x.chunk(self.parts), y.chunk(self.parts), strict=True):
                with torch.autocast("cpu", dtype=self.dtype, enabled=self.dtype is not torch.float32):
                    loss = F.cross_entropy(self.forward(part_x), part_y) / self.parts
                (loss if self.scaler is None else self.scaler.scale(loss)).backward()

        if self.scaler is None:
            self.optimizer.step(closure)
        else:
            self.optimizer.step(closure, grad_scaler=self.scaler)
            self.scaler.update()
        self.done += 1

    def state(self):
        return copy.deepcopy(
            {
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "scaler": None if self.scaler is None else self.scaler.state_dict(),
                "draws": torch.get_rng_state(),
            }
        )

    def load(self, state):
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.scaler is not None:
            self.scaler.load_state_dict(state["scaler"])
        torch.set_rng_state(state["draws"])
        self.done = STOP
        return self

    def finish(self):
        while self.done < STEPS:
            self.step()
        return self.model

    def stopped(self):
        """The state at STOP and the model at the end."""
        while self.done < STOP:
            self.step()
        return self.state(), self.finish()


def distance(a, b):
    start = Run(RULES["AMP"], torch.float32, batch_norm=len(a) == 4).model
    far = sum(float((x - y).detach().square().sum()) for x, y in zip(a.parameters(), b.parameters(), strict=True))
    way = sum(float((x - y).detach().square().sum()) for x, y in zip(b.parameters(), start.parameters(), strict=True))
    return (far / way) ** 0.5


def same_bits(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


@every_rule
@dtypes
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("parts", [1, 4])
def test_a_cell_follows_fp32_whether_foreach_or_plain_and_goes_on_to_the_bit(rule, dtype, batch_norm, parts):
    ends = []
    # Micro-batches of a network with batch norm have statistics of their own; without, they are the whole batch.
    exact = Run(rule, torch.float32, parts=parts if batch_norm else 1, batch_norm=batch_norm).finish()
    for foreach in (None, False):
        cell = {"parts": parts, "batch_norm": batch_norm, "foreach": foreach}
        state, model = Run(rule, dtype, **cell).stopped()
        assert same_bits(Run(rule, dtype, **cell).load(state).finish(), model)
        assert all(p.dtype == torch.float32 for p in model.parameters())
        assert distance(model, exact) < BOUNDS[dtype]
        ends.append(model)
    assert distance(*ends) < 1e-5
    if batch_norm:
        assert int(ends[0][1].num_batches_tracked) == STEPS * parts


WAYS = [("network", 1, True), ("network", 4, True), ("network", 1, False), ("network", 4, False)]
COMPILED = [
    *itertools.product(RULES, BOUNDS, WAYS),
    *itertools.product(["AMP", "RWP"], BOUNDS, [("in place", 1, True), ("function", 1, True)]),
]


@pytest.mark.parametrize(("name", "dtype", "way"), COMPILED, ids=str)
def test_a_compiled_network_takes_the_same_steps_and_is_compiled_once(name, dtype, way):
    compiled, parts, batch_norm = way
    cell = {"parts": parts, "batch_norm": batch_norm, "foreach": None if parts == 1 else False}
    plain = Run(RULES[name], dtype, **cell).finish()
    run = Run(RULES[name], dtype, compiled=compiled, **cell)
    run.step()
    with torch.compiler.set_stance("fail_on_recompile"):
        model = run.finish()
    assert distance(model, plain) < 1e-3
    if not batch_norm:
        return
    assert int(model[1].num_batches_tracked) == STEPS * parts
    for statistics in ("running_mean", "running_var"):
        torch.testing.assert_close(getattr(model[1], statistics), getattr(plain[1], statistics), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("beside", [nn.Identity(), nn.CrossEntropyLoss()])  # modules that are not the network
def test_a_compiled_function_whose_network_cannot_be_seen_is_refused(beside):
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8))
    optimizer = lethe.AMP(model.parameters(), lr=0.1, epsilon=0.1)
    before = copy.deepcopy(list(model.parameters()))

    @torch.compile(backend="aot_eager")
    def loss_of(x):
        return model(x)

    def closure():
        optimizer.zero_grad()
        logits = loss_of(torch.ones(4, 6))
        if isinstance(beside, nn.CrossEntropyLoss):
            beside(logits, torch.zeros(4, dtype=torch.long)).backward()
        else:
            beside(logits).square().mean().backward()

    with pytest.raises(lethe.LetheError, match=r"inside a compiled function.*modules=model"):
        optimizer.step(closure)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), before, strict=True))


def test_a_function_of_parameters_alone_is_no_compiled_network():
    torch._dynamo.utils.counters["frames"]["ok"] += 1  # something else in this process is compiled
    weight = nn.Parameter(torch.ones(2))
    optimizer = lethe.SAM([weight], lr=0.1)

    def closure():
        optimizer.zero_grad()
        weight.square().sum().backward()

    optimizer.step(closure)
    assert not torch.equal(weight.detach(), torch.ones(2))
