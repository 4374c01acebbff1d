"""Counting digits finds the threshold that sorting all scores finds, ties included, with no list of all scores."""

import weakref

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lethe import forget
from lethe.forget import _score
from lethe.forget._ranking import lowest
from lethe.forget._score import Score


def reference(scores, count):
    """Concatenate, sort, compare; of ties all go."""
    if count == 0:
        return {name: torch.zeros_like(s, dtype=torch.bool) for name, s in scores.items()}
    threshold = torch.cat([s.flatten() for s in scores.values()]).sort().values[count - 1]
    return {name: s <= threshold for name, s in scores.items()}


def as_scores(tensors):
    return {name: Score.of(t) for name, t in tensors.items()}


VALUES = [0.0, -0.0, 1e-45, 1e-38, 0.5, 0.5000001, 1.0, 65536.0, 3e38]
"""Few, so that ties abound: zeros of both signs, denormals, neighbours, extremes."""


@settings(deadline=None, max_examples=80)
@given(st.data())
def test_the_threshold_is_that_of_sorting(data):
    kind = data.draw(st.sampled_from([torch.float32, torch.float64, torch.bfloat16]))
    lists = data.draw(st.lists(st.lists(st.sampled_from(VALUES), min_size=1, max_size=12), min_size=1, max_size=4))
    tensors = {str(i): torch.tensor(values, dtype=kind) for i, values in enumerate(lists)}
    tensors = {name: t[t.isfinite()] for name, t in tensors.items()}
    fraction = data.draw(st.floats(0.0, 1.0))
    everything = sum(t.numel() for t in tensors.values())
    count = int(fraction * everything)
    expected = reference(tensors, count)
    masks = lowest(as_scores(tensors), fraction)
    assert all(torch.equal(masks[name], expected[name]) for name in tensors)
    exact = lowest(as_scores(tensors), fraction, ties="first")
    assert sum(int(m.sum()) for m in exact.values()) == count
    # an exact choice takes the same values; only which of the equal ones go is decided by order
    taken = torch.cat([tensors[name][mask].double() for name, mask in exact.items()]).sort().values
    assert torch.equal(taken, torch.cat([t.flatten() for t in tensors.values()]).double().sort().values[:count])


def test_of_ties_the_first_in_the_networks_order_go(monkeypatch):
    monkeypatch.setattr(_score, "BLOCK", 4)  # several blocks
    tensors = {"a": torch.tensor([[1.0, 2.0], [1.0, 1.0], [0.0, 1.0]]), "b": torch.ones(4)}
    masks = lowest(as_scores(tensors), 0.5, ties="first")
    assert masks["a"].tolist() == [[True, False], [True, True], [True, True]]
    assert not masks["b"].any()
    masks = lowest(as_scores(tensors), 0.7, ties="first")
    assert masks["b"].tolist() == [True, True, False, False]


def test_each_tensor_by_itself():
    tensors = {"small": torch.arange(10.0), "large": torch.arange(100.0, 120.0), "odd": torch.arange(7.0)}
    masks = lowest(as_scores(tensors), 0.3, count="per-tensor")
    assert {name: int(m.sum()) for name, m in masks.items()} == {"small": 3, "large": 6, "odd": 2}
    assert masks["large"][:6].all()
    assert int(lowest(as_scores(tensors), 0.26, count="per-tensor")["small"].sum()) == 3  # 2.6 is rounded


def test_other_memory_formats_and_scalars_are_ranked_alike():
    image = torch.randn(6, 5, 3, 3).abs()
    one = lowest(as_scores({"x": image, "s": torch.tensor(0.1)}), 0.4, ties="first")
    two = lowest(as_scores({"x": image.to(memory_format=torch.channels_last), "s": torch.tensor(0.1)}), 0.4)
    assert torch.equal(one["x"], two["x"])
    assert one["s"].shape == ()


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_a_score_that_is_not_finite_is_an_error(bad, kind):
    scores = as_scores({"a": torch.ones(3), "b": torch.tensor([0.0, bad], dtype=kind)})
    for fraction in (0.0, 0.5):
        with pytest.raises(ValueError, match="not finite"):
            lowest(scores, fraction)


def test_unknown_words_are_errors():
    for options in ({"count": "overal"}, {"ties": "some"}):
        with pytest.raises(ValueError, match="Known"):
            lowest(as_scores({"a": torch.ones(3)}), 0.5, **options)


class LiveBytes(TorchDispatchMode):
    """The most bytes that tensors made in this context took together; the model's own do not count."""

    def __init__(self, model):
        super().__init__()
        self.live = self.peak = 0
        self.known = {p.untyped_storage()._cdata for p in model.parameters()}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                if storage._cdata not in self.known:
                    self.known.add(storage._cdata)
                    self.live += storage.nbytes()
                    self.peak = max(self.peak, self.live)
                    weakref.finalize(storage, self.freed, storage._cdata, storage.nbytes())
        return out

    def freed(self, address, size):
        self.known.discard(address)
        self.live -= size


def test_memory_stays_near_the_masks(monkeypatch):
    monkeypatch.setattr(_score, "BLOCK", 2**14)
    model = nn.Sequential(*(nn.Linear(400, 400, bias=False) for _ in range(12)))
    weights = sum(p.numel() for p in model.parameters())
    with LiveBytes(model) as random:
        forget.random_mask(model, 0.1)
    with LiveBytes(model) as small:
        forget.magnitude_mask(model, 0.1, ties="first")
    with LiveBytes(model) as concatenated:
        torch.cat([p.detach().abs().flatten() for p in model.parameters()])
    # The masks are a byte a weight; beside them a permutation of one tensor, or some blocks and the counts of digits.
    assert weights <= random.peak <= weights + 9 * 400 * 400
    assert weights <= small.peak <= weights + 16 * 2**14 + 2 * 8 * 2**16
    assert concatenated.peak > 4 * weights
