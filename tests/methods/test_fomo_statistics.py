"""Batch norm's statistics of the stable model: averaged, recomputed, or measured on what it is asked."""

import copy

import pytest
import torch
import torch.nn.functional as F
from fomo_loop import awp, data, make, network, step, train


def test_statistics_of_the_stable_model_can_be_recomputed():
    model = network()
    fomo, optimizer = make(model, stable_statistics="recompute")
    train(model, fomo, optimizer, range(1))
    hidden = [fomo.stable[0](x) for x, _ in data(0)]
    torch.testing.assert_close(fomo.stable[1].running_mean, torch.stack([h.mean(0) for h in hidden]).mean(0))
    assert not fomo.stable[1].training
    with pytest.raises(ValueError, match="needs images"):
        fomo.end_epoch(0)


def test_frozen_norms_are_not_recomputed_also_where_the_loop_has_evaluated_before():
    model = network()
    fomo, optimizer = make(model, stable_statistics="recompute")
    model[1].eval()
    train(model, fomo, optimizer, range(1))
    assert torch.equal(fomo.stable[1].running_mean, torch.zeros(8))
    fomo.begin_epoch(1)
    step(model, fomo, optimizer, *data(1)[0])
    resumed, _ = make(model, stable_statistics="recompute")
    resumed.load_state_dict(copy.deepcopy(fomo.state_dict()))  # in the middle of an epoch
    step(model, resumed, optimizer, *data(1)[1])
    resumed.end_epoch(1, lambda: [x for x, _ in data(1)])
    assert torch.equal(resumed.stable[1].running_mean, torch.zeros(8))
    model.train()
    fomo.end_epoch(1, lambda: [x for x, _ in data(1)])
    fomo.begin_epoch(2)
    for x, y in data(1):
        step(model, fomo, optimizer, x, y)
    model.eval()
    fomo.end_epoch(2, lambda: [x for x, _ in data(1)])
    assert not torch.equal(fomo.stable[1].running_mean, torch.zeros(8))


def test_which_norms_are_frozen_outlives_a_resume_between_the_last_step_and_the_end_of_an_epoch():
    for frozen in (True, False):
        model = network()
        fomo, optimizer = make(model, stable_statistics="recompute")
        model[1].train(not frozen)
        fomo.begin_epoch(0)
        step(model, fomo, optimizer, *data(0)[0])
        resumed, _ = make(network(), stable_statistics="recompute")
        resumed.load_state_dict(copy.deepcopy(fomo.state_dict()))
        resumed.model.eval()  # it evaluates before it ends the epoch
        for one in (fomo, resumed):
            one.end_epoch(0, lambda: [x for x, _ in data(0)])
        assert torch.equal(resumed.stable[1].running_mean, fomo.stable[1].running_mean)
        assert torch.equal(fomo.stable[1].running_mean, torch.zeros(8)) == frozen


def test_norms_that_nobody_recomputes_are_averaged():
    model = network()
    model[1] = torch.nn.InstanceNorm1d(8, track_running_stats=True)
    model.insert(0, torch.nn.Unflatten(1, (6, 1)))
    model.insert(1, torch.nn.Flatten())
    model[3].forward = lambda x: torch.nn.functional.instance_norm(
        x.unsqueeze(2).expand(-1, -1, 2), model[3].running_mean, model[3].running_var, use_input_stats=False
    )[..., 0]
    fomo, optimizer = make(model, stable_statistics="recompute", decay=0.5, ramp="none")
    train(model, fomo, optimizer, range(1))
    before = fomo.stable[3].running_mean.clone()
    model[3].running_mean.fill_(2.0)
    step(model, fomo, optimizer, *data(1)[0])
    torch.testing.assert_close(fomo.stable[3].running_mean, before.lerp(torch.tensor(2.0), 0.5))


def test_a_network_without_batch_norm_is_asked_nothing_more():
    model = network()
    model[1] = torch.nn.LayerNorm(8)
    fomo, optimizer = make(model, stable_statistics="recompute", start=0)
    fomo.begin_epoch(0)
    step(model, fomo, optimizer, *data(0)[0])
    read = []
    fomo.end_epoch(0, lambda: (read.append(1) or x for x, _ in data(0)))
    assert read == []


def test_a_stable_model_that_an_evaluation_left_in_training_mode_answers_in_evaluation_mode():
    model = network()
    model[2] = torch.nn.Dropout(0.5)
    fomo, optimizer = make(model, start=0)
    train(model, fomo, optimizer, range(1))
    x, _ = data()[0]
    with torch.no_grad():
        expected = fomo.stable(x)
    fomo.stable.train()  # as many loops end an evaluation
    logits = torch.zeros(16, 3, requires_grad=True)
    found = fomo.consistency(x, logits)
    fomo.stable.eval()
    kl = F.kl_div(logits.log_softmax(1), expected.log_softmax(1), reduction="batchmean", log_target=True)
    torch.testing.assert_close(found, 2.0 * kl)


def test_recomputed_statistics_stay_while_the_weights_move_also_in_a_resumed_run():
    model = network()
    fomo, optimizer = make(model, stable_statistics="recompute")
    for x, y in data(0)[:2]:  # the first update of an average copies, too
        step(model, fomo, optimizer, x, y)
    assert torch.equal(fomo.stable[1].running_mean, model[1].running_mean)  # there are no others yet
    train(model, fomo, optimizer, range(1))
    resumed, _ = make(network(), stable_statistics="recompute")
    resumed.load_state_dict(copy.deepcopy(fomo.state_dict()))
    for one in (fomo, resumed):
        weights, mean = one.stable[0].weight.clone(), one.stable[1].running_mean.clone()
        step(model, one, optimizer, x, y)
        assert not torch.equal(one.stable[0].weight, weights)
        assert torch.equal(one.stable[1].running_mean, mean)
    averaged, optimizer = make(network())
    with pytest.warns(UserWarning, match="goes on with stable_statistics 'measure' in place of 'recompute'"):
        averaged.load_state_dict(fomo.state_dict())  # how one goes on is the option's to say, not the checkpoint's
    mean = averaged.stable[1].running_mean.clone()
    step(averaged.model, averaged, optimizer, x, y)
    assert not torch.equal(averaged.stable[1].running_mean, mean)


def test_statistics_are_averaged_until_the_stable_model_is_asked_and_measured_from_then_on():
    model = network()
    fomo, optimizer = make(model, start=1, stable_statistics="measure")
    averaged, _ = make(model, start=1, stable_statistics="average")
    for epoch in range(3):
        fomo.begin_epoch(epoch)
        for x, y in data(epoch):
            before, shown = fomo.stable[1].running_mean.clone(), fomo.stable[0](x + 0.1).mean(0)
            step(model, fomo, optimizer, x, y)
            averaged.end_step()
            if epoch == 0:
                assert torch.equal(fomo.stable[1].running_mean, averaged.stable[1].running_mean)
            else:
                torch.testing.assert_close(fomo.stable[1].running_mean, before.lerp(shown, 0.1))
    assert not torch.allclose(fomo.stable[1].running_mean, averaged.stable[1].running_mean)


def test_without_a_consistency_loss_nothing_is_asked_and_statistics_are_averaged():
    model = network()
    fomo, optimizer = make(model, start=0, consistency=0.0, stable_statistics="measure")
    averaged, _ = make(model, start=0, consistency=0.0, stable_statistics="average")
    fomo.begin_epoch(0)
    for x, y in data(0):
        step(model, fomo, optimizer, x, y)
        averaged.end_step()
    assert torch.equal(fomo.stable[1].running_mean, averaged.stable[1].running_mean)


def test_two_passes_of_a_step_are_measured_once():
    model = network()
    x, y = data()[0]
    fomo, in_two_passes = awp(model, x, y)
    fomo.begin_epoch(0)
    before, shown = fomo.stable[1].running_mean.clone(), fomo.stable[0](x).mean(0)
    in_two_passes()
    (seen,) = fomo._statistics._measured._seen.values()
    assert (seen[2] == 16).all()  # images, not those of both passes
    fomo.end_step()
    torch.testing.assert_close(fomo.stable[1].running_mean, before.lerp(shown, 0.1))


def test_what_is_not_measured_is_averaged():
    """A loop that does not ask for the consistency loss, and questions outside of training."""
    model = network()
    fomo, optimizer = make(model, start=0, stable_statistics="measure")
    averaged, _ = make(model, start=0, stable_statistics="average")
    fomo.begin_epoch(0)
    for x, y in data(0):
        with torch.no_grad():
            fomo.consistency(x + 5, model(x + 5))  # a validation loss, say; it moves the working statistics alone
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        fomo.end_step()
        averaged.end_step()
    assert torch.equal(fomo.stable[1].running_mean, averaged.stable[1].running_mean)
    assert torch.equal(fomo.stable[1].running_var, averaged.stable[1].running_var)


@pytest.mark.parametrize("consistency", [0.0, 2.0])
def test_clean_images_and_attacked_ones_that_it_is_asked_about_are_measured_as_one_batch(consistency):
    model = network()
    fomo, optimizer = make(model, start=0, consistency=consistency, clean_consistency=1.0)
    fomo.begin_epoch(0)
    x, y = data(0)[0]
    images = torch.cat([x, x + 0.1]) if consistency else x  # step's attack adds 0.1
    before, shown = fomo.stable[1].running_var.clone(), fomo.stable[0](images).var(0)
    step(model, fomo, optimizer, x, y)
    torch.testing.assert_close(fomo.stable[1].running_var, before.lerp(shown, 0.1))


def test_a_phase_that_is_consolidated_moves_the_statistics_with_the_weights():
    model = network()
    fomo, optimizer = make(model, start=1, period=2, average="phase", decay=0.5, ramp="none")
    train(model, fomo, optimizer, range(2))
    fomo.begin_epoch(2)
    for x, y in data(2):
        step(model, fomo, optimizer, x, y)
    weights, mean = fomo.stable[0].weight.clone(), fomo.stable[1].running_mean.clone()
    fomo.end_epoch(2)
    torch.testing.assert_close(fomo.stable[0].weight, weights.lerp(model[0].weight, 0.5))
    torch.testing.assert_close(fomo.stable[1].running_mean, mean.lerp(model[1].running_mean, 0.5))


def test_loading_a_state_lets_go_of_what_was_seen():
    model = network()
    fomo, optimizer = make(model, start=0)
    fomo.begin_epoch(0)
    saved = copy.deepcopy(fomo.state_dict())
    x, y = data(0)[0]
    fomo.consistency(x + 1e6, model(x))
    fomo.load_state_dict(saved)
    step(model, fomo, optimizer, x, y)
    assert (fomo.stable[1].running_mean.abs() < 1e3).all()
