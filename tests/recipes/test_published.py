"""The settings of AMP's script, by network and augmentation, and how the command line starts from them."""

import json

import pytest
import torch

from lethe.cli import main
from lethe.cli._options import parse_recipe
from lethe.models import MODELS
from lethe.recipes import TRAIN_RECIPES, published
from lethe.recipes._published import EPSILON_AND_INNER_LR, FAMILY
from lethe.recipes._published_robust import ONE_CONVENTION

PUBLISHED = [  # network, augmentation, epsilon, inner_lr: METHODS of AMP's main.py and README
    *(("preact-resnet18-amp", augment, 0.5, 1.0) for augment in ("vanilla", "cutout", "autoaugment")),
    *(("vgg16", augment, 0.1, 0.2) for augment in ("vanilla", "cutout", "autoaugment")),
    ("wrn-28-10", "vanilla", 0.5, 1.0),
    ("wrn-28-10", "cutout", 0.3, 0.5),
    ("wrn-28-10", "autoaugment", 0.1, 0.1),
    ("pyramidnet-164-270", "vanilla", 0.5, 1.0),
    ("pyramidnet-164-270", "cutout", 0.3, 0.5),
    ("pyramidnet-164-270", "autoaugment", 0.1, 0.1),
]


def parse(*words):
    return parse_recipe("train", list(words), TRAIN_RECIPES, "")


@pytest.mark.parametrize("dataset", ["cifar10", "cifar100", "svhn"])
@pytest.mark.parametrize(("network", "augment", "epsilon", "inner_lr"), PUBLISHED)
def test_the_command_line_takes_the_settings_of_the_script(dataset, network, augment, epsilon, inner_lr):
    recipe = parse("amp", "--published", "--dataset", dataset, "--model", network, "--augment", augment)
    assert (recipe.amp.epsilon, recipe.amp.inner_lr, recipe.amp.inner_iter) == (epsilon, inner_lr, 1)
    assert (recipe.data.dataset, recipe.model.model, recipe.data.augment) == (dataset, network, augment)
    assert (recipe.schedule.epochs, recipe.schedule.batch_size) == (200, 50)
    assert recipe.schedule.milestones == (0.5, 0.75)
    assert recipe.schedule.gamma == 0.1
    sgd = recipe.sgd
    assert (sgd.lr, sgd.momentum, sgd.weight_decay, sgd.nesterov, sgd.clip_norm) == (0.1, 0.9, 1e-4, True, 50.0)


def test_without_more_words_it_is_the_preact_resnet_on_cifar10():
    recipe = parse("amp", "--published")
    assert recipe == published(TRAIN_RECIPES["amp"])
    assert (recipe.data.dataset, recipe.model.model, recipe.data.augment) == (
        "cifar10",
        "preact-resnet18-amp",
        "vanilla",
    )


@pytest.mark.parametrize("name", ONE_CONVENTION)
@pytest.mark.parametrize(
    ("dataset", "lr", "step", "augment"),
    [
        ("cifar10", 0.1, 2 / 255, "crop-flip"),
        ("cifar100", 0.1, 2 / 255, "crop-flip-rotate"),
        ("svhn", 0.01, 1 / 255, "none"),
    ],
)
def test_adversarial_training_takes_the_settings_of_awps_script(name, dataset, lr, step, augment):
    recipe = parse(name, "--published", "--dataset", dataset)
    assert (recipe.data.dataset, recipe.data.augment, recipe.model.model) == (dataset, augment, "preact-resnet18")
    assert (recipe.sgd.lr, recipe.sgd.momentum, recipe.sgd.weight_decay) == (lr, 0.9, 5e-4)
    assert (recipe.attack.epsilon, recipe.attack.step_size, recipe.attack.steps) == (8 / 255, step, 10)
    assert recipe.evaluation_attack().steps == 20
    assert (recipe.schedule.epochs, recipe.schedule.batch_size) == (200, 128)
    assert recipe.schedule.schedule_by == "step"  # the last batch of the hundredth epoch has the lower rate
    assert parse(name, "--published", "--dataset", dataset, "--model", "wrn-34-10").model.model == "wrn-34-10"
    if name == "awp":
        assert (recipe.awp.awp_gamma, recipe.awp.awp_warmup) == (0.01, 5 if dataset == "svhn" else 0)
    if name == "rwp":
        assert (recipe.rwp.rwp_gamma, recipe.rwp.rwp_warmup) == (0.01, 5 if dataset == "svhn" else 0)
    if name == "fomo":
        assert (recipe.fomo.start, recipe.fomo.period, recipe.fomo.fraction) == (105 / 200, 5, 0.035)
        assert (recipe.schedule.schedule, recipe.schedule.milestones) == ("piecewise", (0.5, 0.75))


def falls_at(recipe):
    """The epochs, counted from 1, that are the first with a lower rate."""
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    scheduler, rates = recipe.schedule.build(optimizer, 1), [1.0]
    for _ in range(recipe.schedule.epochs):
        optimizer.step()
        scheduler.step()
        rates.append(optimizer.param_groups[0]["lr"])
    return [epoch + 1 for epoch in range(1, recipe.schedule.epochs) if rates[epoch] != rates[epoch - 1]]


@pytest.mark.parametrize(
    ("words", "network", "epochs", "falls", "lr", "weight_decay", "beta"),
    [
        ("trades", "wrn-34-10", 76, [75], 0.1, 2e-4, 6.0),
        ("mart", "resnet18", 120, [75, 90, 100], 0.01, 3.5e-3, 5.0),
        ("mart --model wrn-34-10", "wrn-34-10", 90, [75, 90], 0.1, 7e-4, 6.0),
    ],
)
def test_trades_and_mart_take_the_settings_of_their_scripts(words, network, epochs, falls, lr, weight_decay, beta):
    name, *more = words.split()
    recipe = parse(name, "--published", *more)
    assert (recipe.model.model, recipe.data.augment) == (network, "crop-flip-zero")
    assert (recipe.schedule.epochs, recipe.schedule.batch_size, falls_at(recipe)) == (epochs, 128, falls)
    assert (recipe.sgd.lr, recipe.sgd.momentum, recipe.sgd.weight_decay) == (lr, 0.9, weight_decay)
    assert (recipe.attack.epsilon, recipe.attack.step_size, recipe.attack.steps) == (0.031, 0.007, 10)
    assert (recipe.robust.objective, recipe.robust.beta) == (name, beta)


def test_kd_swa_takes_the_settings_of_its_script_and_keeps_its_teachers():
    recipe = parse("kd-swa", "--published", "--clean-teacher", "runs/a", "--robust-teacher", "runs/b")
    assert (recipe.distillation.clean_teacher, recipe.distillation.robust_teacher) == ("runs/a", "runs/b")
    assert (recipe.model.model, recipe.data.augment) == ("preact-resnet18", "crop-flip-zero")
    assert falls_at(recipe) == [51, 151]  # its scheduler falls after 50 and 150 epochs
    assert round(recipe.swa.swa_start * recipe.schedule.epochs) == 55
    c = recipe.distillation
    assert (c.clean_weight, c.robust_weight, c.temperature) == (0.1, 0.6, 2.0)
    assert parse("kd-swa", "--published", "--dataset", "cifar100").data.augment == "crop-flip-rotate"


def test_words_override_what_is_published():
    recipe = parse("amp", "--published", "--model", "vgg16", "--epsilon", "0.7", "--epochs", "3")
    assert (recipe.amp.epsilon, recipe.amp.inner_lr, recipe.schedule.epochs) == (0.7, 0.2, 3)


@pytest.mark.parametrize("name", FAMILY)
def test_every_row_of_the_papers_table_has_the_same_settings_and_its_own_regulariser(name):
    recipe = published(TRAIN_RECIPES[name])
    assert recipe.sgd == published(TRAIN_RECIPES["sgd"]).sgd
    assert recipe.schedule == published(TRAIN_RECIPES["sgd"]).schedule
    assert recipe.model.dropout == (0.1 if name == "dropout" else 0.0)
    options = recipe.options()
    assert json.loads(json.dumps(options))["recipe"] == name


def test_the_regularisers_of_the_table_have_its_values():
    table = {name: published(TRAIN_RECIPES[name]) for name in FAMILY}
    assert table["label-smoothing"].label_smoothing.smoothing == 0.2
    assert table["flooding"].flooding.flood_level == 0.02
    assert table["mixup"].mixup.mixup_alpha == 1.0
    assert table["rmp"].rmp.epsilon == 0.1
    attack = table["input-at"].input_attack
    assert (attack.epsilon, attack.step_size, attack.steps, attack.random_start) == (1 / 255, 1 / 255, 1, True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("sam --published", "no published settings for 'sam'"),
        ("trades --published --dataset cifar100", "no published settings for 'cifar100'"),
        ("awp --published --objective trades", "no published settings for 'awp' over 'trades'"),
        ("fomo --published --objective mart", "no published settings for 'fomo' over 'mart'"),
        ("at --published --model vgg16", "no published settings for 'vgg16'"),
        ("amp --published --dataset digits", "no published settings for 'digits'"),
        ("amp --published --model small-resnet", "no published settings for 'small-resnet'"),
        ("amp --published --augment none", "no published settings for augment 'none'"),
        ("amp --published --config x.json", "leave one out"),
        ("amp --publishd", "Did you mean '--published'"),
    ],
)
def test_what_is_not_published_is_refused(words, message, capsys):
    assert main(["train", *words.split()]) == 2
    assert message in capsys.readouterr().err


def test_help_shows_the_settings_that_would_be_taken(capsys):
    assert main(["train", "amp", "--published", "--model", "vgg16", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "(default: vgg16)" in text
    assert "Step size of the ascent. (default: 0.2)" in text


def test_the_table_names_networks_that_exist():
    assert set(EPSILON_AND_INNER_LR) <= set(MODELS)
