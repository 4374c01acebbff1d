"""Random streams of a run: apart from each other, and the same for the same seed."""

import pytest
import torch

import lethe
from lethe.engine import RunConfig, generators


def draws(generator):
    return torch.rand(5, generator=generator).tolist()


def test_the_same_seed_gives_the_same_streams():
    one, two = generators(7), generators(7)
    assert list(one) == ["data", "attack", "method"]
    assert [draws(g) for g in one.values()] == [draws(g) for g in two.values()]


@pytest.mark.parametrize("seed", [0, 1, 2**40])
def test_the_streams_of_one_seed_differ(seed):
    assert len({tuple(draws(g)) for g in generators(seed).values()}) == 3


def test_seed_0_is_a_seed_like_any_other():
    assert draws(generators(0)["data"]) == draws(generators(0)["data"])
    assert len({tuple(draws(generators(seed)["data"])) for seed in range(20)}) == 20


def test_drawing_from_one_stream_moves_no_other():
    one, two = generators(3), generators(3)
    torch.rand(1000, generator=one["attack"])
    assert draws(one["data"]) == draws(two["data"])
    assert draws(one["method"]) == draws(two["method"])


def test_making_them_leaves_torchs_own_generator_alone():
    before = torch.get_rng_state()
    generators(1)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_negative_seed_is_refused():
    with pytest.raises(lethe.LetheError, match=r"seed must lie in .*, got -1"):
        RunConfig(seed=-1)
