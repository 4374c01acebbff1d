"""AWP and RWP after a warm-up: as SGD until then, and to the bit after a resume."""

from functools import partial

import pytest
import torch

from lethe.engine import RunDirectory
from lethe.optim import AWP, AWPConfig, RWPConfig
from lethe.recipes import ATRecipe, AWPRecipe, RWPRecipe
from lethe.recipes._warm_up import WarmUp


@pytest.mark.parametrize(
    ("kind", "section", "config"),
    [(AWPRecipe, "awp", AWPConfig), (RWPRecipe, "rwp", partial(RWPConfig, rwp_threshold=100.0))],
    ids=["awp", "rwp"],
)
def test_it_trains_as_without_perturbation_until_it_is_over(tiny, tmp_path, kind, section, config):
    def losses(name, kind, epochs=3, **sections):
        _, records = tiny(kind, tmp_path / name, epochs=epochs, **sections).execute()
        return [record["train/loss"] for record in records]

    name = f"{section}_warmup"
    plain = losses("at", ATRecipe)
    warm = losses("warm", kind, **{section: config(**{name: 2})})
    assert warm[:2] == plain[:2]
    assert warm[:2] != losses("never", kind, **{section: config(**{name: 0})})[:2]
    assert warm[2] != plain[2]
    with pytest.raises(ValueError, match=f"{section}-warmup is 3 epochs, the run 3, so no weight would be perturbed"):
        losses("always", kind, **{section: config(**{name: 3})})


def test_a_run_that_stops_in_its_warm_up_goes_on_to_the_bit(tiny, tmp_path):
    recipe = tiny(AWPRecipe, tmp_path / "whole", epochs=3, awp=AWPConfig(awp_warmup=2))
    recipe.execute()
    stopped = tiny(AWPRecipe, tmp_path / "stopped", epochs=3, awp=AWPConfig(awp_warmup=2))

    class Stop(Exception):
        pass

    from lethe.engine import Observer

    class Stopper(Observer):
        def record(self, record):
            raise Stop

    with pytest.raises(Stop):
        stopped.execute(observer=Stopper())
    stopped.execute(resume=RunDirectory.open(tmp_path / "stopped"))
    ends = [
        torch.load(tmp_path / name / "checkpoints" / "last.pt", weights_only=True)["model"]
        for name in ("whole", "stopped")
    ]
    assert all(torch.equal(ends[0][key], ends[1][key]) for key in ends[0])


def test_groups_keep_a_gamma_of_their_own():
    weights = [torch.nn.Parameter(torch.ones(2, 2)) for _ in range(2)]
    optimizer = AWP([{"params": weights[:1], "gamma": 0.1}, {"params": weights[1:], "gamma": 0.2}], lr=0.1)
    warm_up = WarmUp(optimizer, 1)
    found = []
    for epoch in range(3):
        warm_up.begin_epoch(epoch)
        found.append([group["gamma"] for group in optimizer.param_groups])
    assert found == [[0.0, 0.0], [0.1, 0.2], [0.1, 0.2]]
