"""An average that spans so many relearning phases finds its decay by counting, and loses nothing by it."""

import pytest
import torch
from torch import nn

import lethe

STEPS = 4


def moved(epochs, **options):
    """A FOMO whose working model takes fixed steps, four an epoch, and forgets nothing."""
    torch.manual_seed(0)
    model = nn.Linear(5, 3)
    settings = {"start": 100, "period": 2, "generator": torch.Generator().manual_seed(0)} | options
    fomo = lethe.FOMO(model, None, **settings)
    for epoch in range(epochs):
        fomo.begin_epoch(epoch)
        for _ in range(STEPS):
            with torch.no_grad():
                model.weight.add_(1.0 + epoch)
            fomo.end_step()
        fomo.end_epoch(epoch)
    return fomo


@pytest.mark.parametrize("phases", [1, 1.5, 3, 100, float("inf")])
def test_it_is_to_the_bit_the_average_of_the_decay_that_the_card_names(phases):
    counted = moved(9, average_phases=phases)
    known = moved(9, decay=1 - 1 / (phases * 2 * STEPS))
    assert torch.equal(counted.stable.weight, known.stable.weight)


def test_the_default_is_five_phases():
    assert moved(2)._stable.decay == 1 - 1 / (5 * 2 * STEPS)


def test_a_random_average_counts_its_updates_and_that_of_phases_its_phases():
    assert moved(2, average="stochastic", average_probability=0.5)._stable.decay == 1 - 1 / (5 * 2 * STEPS * 0.5)
    assert moved(1, average="phase")._stable.decay == 0.8


@pytest.mark.parametrize("steps", [0, 1, STEPS, STEPS + 1])
def test_it_is_resumed_within_the_first_epoch_and_after_it(steps):
    def run(stop):
        fomo, model = None, None
        for part in (range(stop or 0), range(stop or 0, 5 * STEPS)):
            if stop is None and not part:
                continue
            state = fomo.state_dict() if fomo is not None else None
            torch.manual_seed(0)
            model = nn.Linear(5, 3) if model is None else model
            fomo = lethe.FOMO(model, None, start=100, period=1, average_phases=2, generator=torch.Generator())
            if state is not None:
                fomo.load_state_dict(state)
                fomo.begin_epoch(stop // STEPS)  # as a resumed run does, also within an epoch
            for step in part:
                if step % STEPS == 0:
                    fomo.begin_epoch(step // STEPS)
                with torch.no_grad():
                    model.weight.add_(1.0 + step)
                fomo.end_step()
        return fomo

    whole, parted = run(None), run(steps)
    assert whole._stable.decay == parted._stable.decay == 1 - 1 / (2 * STEPS)
    assert torch.equal(whole.stable.weight, parted.stable.weight)


def test_an_average_that_never_moves_has_no_length():
    assert moved(3, average="stochastic", average_probability=0.0)._stable.decay == 1.0


def test_a_saved_decay_is_not_mistaken_for_a_length():
    with pytest.raises(ValueError, match="had a decay of its own"):
        moved(0).load_state_dict(moved(2, decay=0.9).state_dict())
    with pytest.warns(UserWarning, match=r"otherwise: this one goes on with decay 0\.9 in place of None\.$"):
        moved(0, decay=0.9).load_state_dict(moved(2).state_dict())


def test_what_cannot_be_is_told_at_once():
    with pytest.raises(ValueError, match="ramp 'none' needs a decay"):
        moved(1, ramp="none")
    with pytest.raises(ValueError, match="average_phases must be at least 1"):
        moved(1, average_phases=0.5)
    with pytest.raises(ValueError, match="average_phases must be at least 1, got nan"):
        moved(1, average_phases=float("nan"))
    assert moved(1, average="phase", ramp="none")
