"""FOMO's consistency loss, on attacked and on clean images, and what it costs."""

import pytest
import torch
from fomo_loop import awp, data, make, network, train
from torch.utils.flop_counter import FlopCounterMode

from lethe.consolidate import consistency_loss


def test_consistency_on_attacked_and_on_clean_images():
    model = network()
    fomo, optimizer = make(model, clean_consistency=3.0, distance="mse", temperature=2.0)
    train(model, fomo, optimizer, range(2))
    fomo.begin_epoch(2)
    x, clean = torch.randn(5, 6), torch.randn(5, 6)
    model.eval()
    logits = model(x)
    expected = 2 * consistency_loss(logits, fomo.stable(x), 2.0, "mse")
    expected = expected + 3 * consistency_loss(model(clean), fomo.stable(clean), 2.0, "mse")
    torch.testing.assert_close(fomo.consistency(x, logits, clean), expected)
    with pytest.raises(ValueError, match="needs the clean images"):
        fomo.consistency(x, logits)


def flops(work):
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def test_consistency_costs_one_forward_pass_a_step_also_in_two_passes():
    model = network()
    x, y = data()[0]
    fomo, in_two_passes = awp(model, x, y)
    forward, before = flops(lambda: model(x)), flops(in_two_passes)
    fomo.end_step()
    fomo.begin_epoch(0)
    assert flops(in_two_passes) == before + forward
    fomo.end_step()
    assert flops(in_two_passes) == before + forward  # the stable model has moved
    x.add_(1.0)
    assert flops(in_two_passes) == before + forward  # these are other images


def test_clean_consistency_costs_four_forward_passes_and_three_for_each_other_pass_of_a_step():
    model = network()
    fomo, _ = make(model, start=0, consistency=0.0, clean_consistency=1.0)
    fomo.begin_epoch(0)
    x = torch.randn(16, 6, requires_grad=True)
    logits, clean = model(x).detach(), x.detach().requires_grad_()
    forward = flops(lambda: model(x))
    for costs in (4, 3):
        assert flops(lambda: fomo.consistency(x, logits, clean).backward()) == costs * forward
