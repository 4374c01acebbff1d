"""AutoAttack through its authors' package: stage by stage as in one call, and no trace."""

import itertools

import pytest
import torch
from torch import nn

from lethe.data import ImageSet
from lethe.evaluate import Evaluation, Threat, evaluate

pyautoattack = pytest.importorskip("pyautoattack")

THREAT = Threat("linf", 0.1)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 12), nn.Tanh(), nn.BatchNorm1d(12), nn.Linear(12, 10)).train()


@pytest.fixture(scope="module")
def data():
    """Images that the network gets right, at distances of all kinds from its edges."""
    x = torch.rand(12, 1, 4, 4, generator=torch.Generator().manual_seed(2))
    return ImageSet(x, network().eval()(x).argmax(1), 10)


@pytest.fixture(scope="module")
def ours(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("evaluation") / "found.json"
    model, shares = network(), []
    before = {name: value.clone() for name, value in model.state_dict().items()}
    draws = torch.get_rng_state()
    done = evaluate(
        model,
        data,
        ["autoattack"],
        THREAT,
        evaluation=Evaluation.open(path, {}),
        batch_size=8,
        on_progress=lambda name, share: shares.append((name, share)),
    )
    return done, model, before, draws, torch.get_rng_state(), shares


def test_its_verdicts_are_those_of_one_direct_call(ours, data):
    model = network().eval()
    direct = pyautoattack.AutoAttack(model, norm="Linf", eps=0.1, version="standard", seed=0)
    _, predicted = direct.run_standard_evaluation(data.images, data.labels, batch_size=8)
    right = predicted == data.labels
    assert torch.equal(ours[0].right["autoattack"], right)
    assert 0 < int(right.sum()) < len(data)  # some are robust, some are not


def test_its_stages_only_take_away(ours):
    names = ["clean", "autoattack:apgd-ce", "autoattack:apgd-t", "autoattack:fab-t", "autoattack"]
    found = ours[0].right
    assert set(names) <= set(found)
    for before, after in itertools.pairwise(names):
        assert (found[after] <= found[before]).all()


def test_it_leaves_no_trace(ours):
    _, model, before, draws, draws_after, _ = ours
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(module.training for module in model.modules())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert torch.equal(draws, draws_after)


def test_its_progress_rises_to_one(ours):
    shares = [share for name, share in ours[5] if name == "autoattack"]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert len(shares) >= 5


def test_it_goes_on_after_the_last_stage_that_is_done(ours, data):
    path, stages = ours[0].path, ours[0].right
    resumed = Evaluation.open(path, {})
    del resumed.right["autoattack"]
    asked = []
    evaluate(
        network(),
        data,
        ["autoattack"],
        THREAT,
        evaluation=resumed,
        batch_size=8,
        on_progress=lambda name, share: asked.append(share),
    )
    assert torch.equal(resumed.right["autoattack"], stages["autoattack"])
    assert all(share == 0.0 or share > 0.75 for share in asked)  # Square alone, the last of four


@pytest.mark.parametrize("classes", [4, 9])
def test_fewer_classes_than_it_takes_by_default(classes):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, classes))
    x = torch.rand(6, 1, 4, 4)
    found = evaluate(model, ImageSet(x, model(x).argmax(1), classes), ["autoattack"], Threat("linf", 0.02))
    assert 0.0 <= found.accuracy("autoattack") <= 1.0


def test_the_time_of_an_ensemble_that_was_stopped_counts(data, tmp_path):
    path = tmp_path / "found.json"

    def stop(name, share):
        if share >= 0.25:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(
            network(),
            data,
            ["autoattack"],
            THREAT,
            evaluation=Evaluation.open(path, {}),
            batch_size=8,
            on_progress=stop,
        )
    before = Evaluation.open(path, {})
    before.seconds["autoattack"] = 1000.0
    done = evaluate(network(), data, ["autoattack"], THREAT, evaluation=before, batch_size=8)
    assert done.seconds["autoattack"] > 1000.0
