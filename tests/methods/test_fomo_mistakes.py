"""What a loop of one's own gets wrong with FOMO, and what it is told."""

import warnings

import pytest
import torch
from fomo_loop import data, make, network, step, train
from torch import nn

import lethe
from lethe import forget


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"criterion": "snipp"}, "Did you mean 'snip'"),
        ({"granularity": "filters"}, "unknown granularity"),
        ({"distance": "l2"}, "unknown distance"),
        ({"average": "epoch"}, "unknown average"),
        ({"patiense": 3}, "FOMO has no option 'patiense'. Did you mean 'patience'"),
        ({"auto_start": True}, "it is start='auto'"),
        ({"fracton": 0.1}, "Did you mean 'fraction'"),
        ({"consistancy": 0.1}, "Did you mean 'consistency'"),
        ({"start": True}, "start is a whole epoch"),
        ({"forget_only": "0.*", "select": forget.everything}, "leave one out"),
        ({"temperature": 0.0}, "temperature must be above 0"),
        ({"relearn_lr": -1.0}, "relearn_lr must be"),
        ({"start": "soon"}, "or 'auto'"),
        ({"criterion": "dormant", "later_layers": 0.1}, "before the last have hidden units"),
        ({"forget_only": ("7.*",)}, "matches no parameter"),
    ],
)
def test_a_bad_option_is_found_at_once(options, message):
    with pytest.raises(ValueError, match=message):
        make(network(), **options)


def test_what_cannot_be_re_drawn_is_found_at_once():
    model = network()
    model.token = nn.Parameter(torch.zeros(3))
    with pytest.raises(ValueError, match="cannot re-draw 'token'"):
        make(model, select=forget.named("token"))
    assert make(model, select=forget.named("token"), reinit="zero")


def test_frozen_weights_are_not_forgotten_until_they_learn():
    model = network()
    model[3].requires_grad_(False)
    fomo, _ = make(model, later_layers=1.0, reinit="rewind")
    assert list(fomo.begin_epoch(2).by_name) == ["0.weight", "5.weight"]
    model[3].requires_grad_(True)
    assert list(fomo.begin_epoch(5).by_name) == ["0.weight", "3.weight", "5.weight"]
    with pytest.raises(ValueError, match="of this Sequential is frozen"):
        make(model.requires_grad_(False))


def test_an_optimizer_of_another_model_is_found_at_once():
    with pytest.raises(ValueError, match="holds none of the weights that are to be forgotten"):
        lethe.FOMO(network(), torch.optim.SGD(network().parameters(), 0.1))
    model = network()
    head = torch.optim.SGD(model[5].parameters(), 0.1)  # one of several optimizers
    assert lethe.FOMO(model, head, later_layers=1.0, start=0).begin_epoch(0).count > 24


def test_one_pattern_need_not_be_a_tuple():
    fomo, _ = make(network(), forget_only="5.weight")
    assert list(fomo.begin_epoch(2).by_name) == ["5.weight"]


def consistency_alone(fomo, epochs):
    for epoch in epochs:
        fomo.begin_epoch(epoch)
        for x, _ in data(epoch):
            fomo.consistency(x, fomo.model(x))


def test_a_stable_model_that_stands_still_warns():
    fomo, _ = make(network(), start=0)
    with pytest.warns(UserWarning, match=r"fomo\.end_step\(\) was not called in epoch 0"):
        consistency_alone(fomo, range(2))
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("error")
        fomo, _ = make(network(), start=0)
        consistency_alone(fomo, range(2))  # a validation loss, whose images are not kept either
        assert len(fomo._teacher) == 0


def test_statistics_that_are_never_recomputed_warn():
    model = network()
    fomo, optimizer = make(model, stable_statistics="recompute")
    train(model, fomo, optimizer, range(2))
    fomo.begin_epoch(2)
    step(model, fomo, optimizer, *data()[0])
    with pytest.warns(UserWarning, match=r"end_epoch\(epoch, images\) was not called after epoch 2"):
        fomo.begin_epoch(3)
    with pytest.raises(ValueError, match="batch by batch"):
        fomo.end_epoch(3, [data()[0][0]])


def test_one_batch_in_place_of_several_is_told():
    fomo, _ = make(network(), criterion="snip")
    with pytest.raises(ValueError, match=r"begin_epoch\(epoch, \[\(x, y\)\]\)"):
        fomo.begin_epoch(2, data()[0])


def test_what_is_no_state_of_fomo_is_told():
    fomo, optimizer = make(network())
    with pytest.raises(ValueError, match="no state of FOMO: it holds state, param_groups"):
        fomo.load_state_dict(optimizer.state_dict())
