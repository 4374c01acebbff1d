"""What a loop of one's own gets wrong with FOMO, and what it is told."""

import warnings

import numpy as np
import pytest
import torch
from fomo_loop import data, make, network, step, train
from torch import nn

import lethe
from lethe import forget
from lethe.forget._select import selected_parameters


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
        ({"forget_only": "0.*", "select": forget.everything}, "select and forget_only both say"),
        ({"later_layers": 0.5, "select": forget.everything}, "select and later_layers both say"),
        ({"temperature": 0.0}, "temperature must be above 0"),
        ({"relearn_lr": -1.0}, "relearn_lr must be"),
        ({"start": "soon"}, "or 'auto'"),
        ({"period": 2.5}, "period must be a whole number, got 2.5"),
        ({"patience": 1.5}, "patience must be a whole number, got 1.5"),
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
    with pytest.warns(UserWarning, match="does not hold 2 of the parameters that may be forgotten, '0.weight'") as told:
        fomo = lethe.FOMO(model, head, later_layers=1.0, start=0)
    assert told[0].filename == __file__
    assert fomo.begin_epoch(0).count > 24


def test_data_that_will_be_missing_is_told_in_the_first_epoch():
    fomo, _ = make(network(), criterion="snip")
    with pytest.warns(UserWarning, match="'snip' looks at data") as told:
        fomo.begin_epoch(0)
    assert told[0].filename == __file__
    fomo.begin_epoch(1)
    with pytest.raises(ValueError, match="looks at data"):
        fomo.begin_epoch(2)
    fomo, _ = make(network(), clean_consistency=1.0)
    with pytest.raises(ValueError, match=r"consistency\(x, logits, clean\)"):
        fomo.consistency(data()[0][0], torch.zeros(16, 3))


@pytest.mark.parametrize("criterion", ["random", "magnitude"])
def test_a_forgetting_of_nothing_is_told(criterion):
    fomo, _ = make(network(), granularity="layers", fraction=0.1, criterion=criterion)  # of two
    with pytest.warns(UserWarning, match="nothing was forgotten: 10.00% of these layers") as told:
        assert fomo.begin_epoch(2).count == 0
    assert told[0].filename == __file__
    fomo, _ = make(network(), granularity="layers", fraction=0.3, criterion=criterion, later_layers=1.0)  # of three
    assert fomo.begin_epoch(2).count > 0


def test_a_weight_that_is_computed_is_neither_selected_nor_re_drawn_in_silence():
    model = network()
    nn.utils.parametrizations.weight_norm(model[5])
    with pytest.warns(UserWarning, match="'5': the weight is computed from others"):
        assert list(selected_parameters(model, forget.weights)) == ["0.weight", "3.weight"]
    model = network()
    nn.utils.spectral_norm(model[0])
    with pytest.raises(ValueError, match="computes its weight from it"):
        forget.reinitialize(model, {"0.weight_orig": torch.ones(8, 6, dtype=torch.bool)})
    forget.reinitialize(model, {"0.weight_orig": torch.ones(8, 6, dtype=torch.bool)}, init="zero")
    assert (model[0].weight_orig == 0).all()


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
    with pytest.warns(UserWarning, match=r"fomo\.end_step\(\) was not called in epoch 0") as told:
        consistency_alone(fomo, range(2))
    assert told[0].filename == __file__
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


def test_a_state_of_other_options_is_told_and_goes_on_with_the_new_ones():
    saved = make(network())[0].state_dict()
    del saved["settings"]["ramp"]  # an older state may not know an option, or none of them
    other, _ = make(network(), fraction=np.float32(0.5), ramp="slow", forget_only="0.*")
    assert type(other.state_dict()["settings"]["fraction"]) is float
    changed = r"fraction 0\.5 in place of 0\.25, forget_only \('0\.\*',\) in place of \(\)\.$"
    with pytest.warns(UserWarning, match=f"goes on with {changed}"):
        other.load_state_dict(saved)
    assert other.fraction == 0.5
    del saved["settings"]
    other.load_state_dict(saved)  # without a word


def test_what_is_no_state_of_fomo_is_told():
    fomo, optimizer = make(network())
    with pytest.raises(ValueError, match="no state of FOMO: it holds state, param_groups"):
        fomo.load_state_dict(optimizer.state_dict())
    before = fomo.state_dict()
    rewinding, _ = make(network(), reinit="rewind")
    with pytest.raises(ValueError, match="no initial weights to rewind to"):
        rewinding.load_state_dict(before)
    without = lethe.FOMO(network())
    with pytest.raises(ValueError, match="drew from a generator of its own"):
        without.load_state_dict(before | {"forgettings": 7})
    assert without.forgettings == 0  # and nothing else was loaded
