"""The two commands of LURE's README, word for word: what they are here, and that they run on the same layouts."""

import argparse
import hashlib
import pickle
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from published import CIFAR10

from lethe.cli._options import parse_recipe
from lethe.data._restricted_imagenet import FOURTEEN
from lethe.engine import ScheduleConfig
from lethe.methods import LUREConfig
from lethe.models import ModelConfig, build
from lethe.recipes import ANYTIME_RECIPES, AlmaRecipe, published
from lethe.track import TrackConfig

README = {
    "cifar10": (
        "--data DATA --log-dir LOGS --run NAME --dataset cifar10 --arch resnet18 --seed 10 --epochs 50 "
        "--decreasing_lr 20,40 --batch_size 64 --weight_decay 1e-4 --meta_batch_size 6250 --meta_batch_number 8 "
        "--snip_size 0.20 --save_dir OUT --sparsity_level 1 -wb --gamma 0.1 --use_snip"
    ),
    "restricted-imagenet": (
        "--data DATA --imagenet_path IMAGENET --run NAME --dataset restricted_imagenet --arch resnet50 --seed 10 "
        "--epochs 50 --decreasing_lr 20,40 --batch_size 128 --weight_decay 1e-4 --meta_batch_size 6250 "
        "--meta_batch_number 8 --snip_size 0.20 --save_dir OUT --sparsity_level 1 -wb --gamma 0.1 --use_snip"
    ),
}
VALUES = (
    *("--data", "--dataset", "--arch", "--imagenet_path", "--checkpoint", "--save_dir", "--decreasing_lr"),
    *("--project_name", "--run", "--log-dir"),
)
NUMBERS = {
    "--meta_batch_size": 5000, "--meta_batch_number": 10, "--seed": None, "--gpu": 0, "--workers": 0,
    "--buffer_size_train": 182, "--buffer_size_val": 182, "--n_shots": 100, "--batch_size": 128, "--lr": 0.1,
    "--momentum": 0.9, "--weight_decay": 1e-4, "--gamma": 1.0, "--epochs": 182, "--warmup": 0, "--print_freq": 50,
    "--snip_size": 0.2, "--sparsity_level": 1, "--shrink": 0.3, "--perturb": 0.001,
}  # fmt: skip
SWITCHES = (
    *("--imagenet_arch", "--resume", "-no_replay", "-one_replay", "-buffer_replay", "-snip_no_replay", "-few_shot"),
    *("--use_snip", "--use_randinit", "--weight_pruning", "--use_llf", "--use_fc", "--use_shrink_perturb", "-wb"),
)
OF_ALMA_ALONE = ("--tickets_mask", "--tickets_init", "--pruner", "--scope")
LEARNERS = {  # those that act between megabatches; without any it is warm start
    "use_snip": "lure",
    "use_llf": "llf",
    "use_shrink_perturb": "shrink-perturb",
    "use_randinit": "scratch",
}


def theirs(command):
    """The options of ``LURE_main.py``, with its defaults."""
    parser = argparse.ArgumentParser()
    for option in VALUES:
        parser.add_argument(option)
    for option, default in NUMBERS.items():
        parser.add_argument(option, type=type(0 if default is None else default), default=default)
    for option in SWITCHES:
        parser.add_argument(option, action="store_true")
    return parser.parse_args(command.split())


def translated(command):
    """The words of `lethe anytime` that say the same."""
    o = theirs(command)
    name = next((ours for flag, ours in LEARNERS.items() if getattr(o, flag)), "alma")
    dataset = o.dataset.replace("_", "-")
    replay = next(
        (ours for flag, ours in (("no", "none"), ("one", "previous")) if getattr(o, f"{flag}_replay")), "full"
    )
    milestones = [str(int(at) / o.epochs) for at in o.decreasing_lr.split(",")]
    words = [name, "--dataset", dataset, "--model", o.arch + ("-imagenet" if o.imagenet_arch else "")]
    words += ["--data-dir", o.data if dataset != "restricted-imagenet" else o.imagenet_path]
    words += ["--augment", "crop-flip-zero" if dataset != "restricted-imagenet" else "random-resized-crop"]
    words += ["--restricted-classes", "14"] if dataset == "restricted-imagenet" else []
    words += ["--megabatches", str(o.meta_batch_number), "--holdout", "0.1", "--order", "published"]
    if o.meta_batch_size * o.meta_batch_number != 50_000 or dataset == "restricted-imagenet":
        words += ["--train-size", str(o.meta_batch_size * o.meta_batch_number)]
    words += ["--replay", f"published-buffer:{o.buffer_size_train}" if o.buffer_replay else replay]
    words += ["--shots", str(o.n_shots)] if o.few_shot else []
    words += ["--epochs", str(o.epochs), "--milestones", *milestones, "--gamma", str(o.gamma)]
    words += ["--batch-size", str(o.batch_size), "--lr", str(o.lr), "--momentum", str(o.momentum)]
    words += ["--weight-decay", str(o.weight_decay), "--warmup", str(o.warmup), "--optimizer-state", "carried"]
    words += ["--official"] if name != "alma" else []
    words += ["--fraction", str(o.snip_size)] if name == "lure" else []
    words += ["--snip-on", "current"] if name == "lure" and o.snip_no_replay else []
    words += ["--shrink", str(o.shrink), "--perturb", str(o.perturb)] if name == "shrink-perturb" else []
    words += ["--seed", str(o.seed or 0), "--out", o.save_dir]
    return words + (["--track", "wandb", "--track-project", o.project_name or "APP"] if o.wb else [])


def parse(*words):
    return parse_recipe("anytime", list(words), ANYTIME_RECIPES, "")


def where_and_who_apart(recipe):
    return replace(
        recipe,
        run=replace(recipe.run, out=None),
        data=replace(recipe.data, data_dir=None),
        track=TrackConfig(),
    )


def test_the_cifar_command_is_what_published_starts_from():
    recipe = parse(*translated(README["cifar10"]))
    assert (recipe.track.track, recipe.track.track_project) == (("wandb",), "APP")
    assert where_and_who_apart(recipe) == published(ANYTIME_RECIPES["lure"]) == parse("lure", "--published")
    assert recipe.official
    assert recipe.lure == LUREConfig(fraction=0.2, official=True)
    assert (recipe.schedule.epochs, recipe.schedule.milestones, recipe.schedule.gamma) == (50, (0.4, 0.8), 0.1)
    assert (recipe.stream.megabatches, recipe.stream.holdout, recipe.stream.order) == (8, 0.1, "published")
    assert (recipe.run.seed, recipe.schedule.batch_size, recipe.sgd.weight_decay) == (10, 64, 1e-4)


def test_the_imagenet_command_is_too_but_for_the_stem_that_it_forgets_and_the_images_that_it_leaves_out():
    recipe = parse(*translated(README["restricted-imagenet"]))
    assert (recipe.model.model, recipe.data.train_size, recipe.data.restricted_classes) == ("resnet50", 50_000, 14)
    start = parse("lure", "--published", "--dataset", "restricted-imagenet")
    assert start.model.model == "resnet50-imagenet"
    assert start.schedule.batch_size == 128
    named = parse("lure", "--published", "--dataset", "restricted-imagenet", "--model", "resnet50")
    assert named == replace(start, model=ModelConfig(model="resnet50"))
    assert where_and_who_apart(recipe) == replace(named, data=replace(named.data, train_size=50_000))
    with_stem = parse(*translated(README["restricted-imagenet"] + " --imagenet_arch"))
    assert with_stem.model.model == "resnet50-imagenet"


@pytest.mark.parametrize(
    ("words", "name", "wanted"),
    [
        ("--use_randinit", "scratch", {"scratch.official": True}),
        ("--use_llf", "llf", {"llf.official": True}),
        ("--use_shrink_perturb --shrink 0.5", "shrink-perturb", {"shrink_perturb.shrink": 0.5}),
        ("", "alma", {"megabatch.optimizer_state": "carried"}),
        ("--use_snip -snip_no_replay", "lure", {"lure.snip_on": "current", "lure.official": True}),
        ("-no_replay", "alma", {"stream.replay": "none"}),
        ("-one_replay", "alma", {"stream.replay": "previous"}),
        ("-buffer_replay --buffer_size_train 90", "alma", {"stream.replay": "published-buffer:90"}),
        ("-few_shot --n_shots 20", "alma", {"stream.shots": 20}),
        ("--warmup 3 --seed 0", "alma", {"schedule.warmup": 3.0, "run.seed": 0}),
        ("--meta_batch_number 4", "alma", {"stream.megabatches": 4, "data.train_size": 25_000}),
    ],
)
def test_every_switch_has_a_word_here(words, name, wanted):
    recipe = parse(*translated(README["cifar10"].replace(" --use_snip", "") + " " + words))
    assert recipe.name == name
    for place, value in wanted.items():
        section, option = place.split(".")
        assert getattr(getattr(recipe, section), option) == value


def test_warm_start_as_published_never_lowers_its_rate():
    recipe = parse("alma", "--published")
    assert recipe.schedule.gamma == 1.0
    assert recipe.megabatch.optimizer_state == "carried"
    fair, lure = parse("alma", "--published", "--gamma", "0.1"), parse("lure", "--published")
    assert (fair.schedule, fair.sgd, fair.stream) == (lure.schedule, lure.sgd, lure.stream)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("rifle --published", "no published settings for 'rifle': there are some for lure, alma"),
        ("random-forgetting --published", "no published settings for 'random-forgetting'"),
        ("lure --published --dataset svhn", "no published settings for 'svhn': there are some for cifar10"),
        ("lure --published --model vgg16", "no published settings for 'vgg16'"),
    ],
)
def test_what_is_not_published_is_refused(words, message):
    with pytest.raises(ValueError, match=message):
        parse(*words.split())


def test_the_guide_names_every_option_of_both_scripts():
    guide = (Path(__file__).parents[2] / "docs" / "coming-from" / "lure.md").read_text()
    for option in (*VALUES, *NUMBERS, *SWITCHES, *OF_ALMA_ALONE):
        assert f"`{option}`" in guide, option
    for name in ANYTIME_RECIPES:
        assert name in guide
    for word in re.findall(r"`lethe anytime ([^`]+)`", guide):
        if not word.startswith("--resume"):
            assert parse(*word.split()) is not None


@pytest.fixture
def cifar_layout(tmp_path, monkeypatch):
    """CIFAR-10's own files with 8 images in each batch, whose sums are taken for the published ones."""
    from torchvision.datasets import CIFAR10 as REAL

    rng, folder = np.random.default_rng(0), tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in CIFAR10[:-1]:
        batch = {"data": rng.integers(0, 256, (8, 3072), dtype=np.uint8), "labels": rng.integers(0, 10, 8).tolist()}
        (folder / name).write_bytes(pickle.dumps(batch))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": [str(i) for i in range(10)]}))
    sums = {name: hashlib.md5((folder / name).read_bytes()).hexdigest() for name in CIFAR10}
    monkeypatch.setattr(REAL, "train_list", [[name, sums[name]] for name in CIFAR10[:5]])
    monkeypatch.setattr(REAL, "test_list", [["test_batch", sums["test_batch"]]])
    meta = {"filename": "batches.meta", "key": "label_names", "md5": sums["batches.meta"]}
    monkeypatch.setattr(REAL, "meta", meta)
    return tmp_path


@pytest.fixture
def imagenet_layout(tmp_path):
    """ImageNet's 1,000 folders, of which two of each of the 14 groups hold one image to train on and one to test."""
    rng, filled = np.random.default_rng(0), {index for _, first, last in FOURTEEN for index in (first, last)}
    grouped = {index for _, first, last in FOURTEEN for index in range(first, last + 1)}
    for index in range(1000):
        for part in ("train", "val") if index in grouped else ("train",):
            folder = tmp_path / part / str(index)
            folder.mkdir(parents=True)
            if index in filled:
                Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(folder / "0.png")
    return tmp_path


def small(recipe, data_dir, out, **data):
    """The same on few images, with a small network, in two megabatches of an epoch each."""
    return replace(
        recipe,
        run=replace(recipe.run, out=str(out), device="cpu"),
        data=replace(recipe.data, data_dir=str(data_dir), train_size=None, **data),
        model=ModelConfig(model="small-resnet", width=4),
        schedule=ScheduleConfig(**{**vars(recipe.schedule), "epochs": 1, "batch_size": 16}),
        stream=replace(recipe.stream, megabatches=2),
        track=TrackConfig(),
    )


def check_run(recipe, counts):
    directory, records = recipe.execute()
    assert [r["new_images"] for r in records if "test/errors" in r] == counts
    (event,) = (r["event"] for r in records if "event" in r)
    assert event.startswith("forgot")
    assert directory.config()["lure"]["official"] is True
    assert directory.summary()["flops"] > 0


def test_the_cifar_command_runs_on_files_in_cifars_layout(cifar_layout):
    recipe = parse(*translated(README["cifar10"]))
    check_run(small(recipe, cifar_layout, cifar_layout / "run", image_size=16), [18, 18])
    assert build(recipe.model, 10, (0.5,) * 3, (0.2,) * 3).eval()(torch.rand(1, 3, 16, 16)).shape == (1, 10)


def test_the_imagenet_command_runs_on_folders_in_imagenets_layout(imagenet_layout):
    recipe = parse(*translated(README["restricted-imagenet"]))
    run = small(recipe, imagenet_layout, imagenet_layout / "run", image_size=8, short_side=10, workers=0)
    check_run(run, [13, 12])  # 28 images, of which 3 are held out


def test_alma_as_published_runs_there_too(cifar_layout):
    recipe = parse("alma", "--published", "--data-dir", str(cifar_layout))
    assert isinstance(recipe, AlmaRecipe)
    _, records = small(recipe, cifar_layout, cifar_layout / "run", image_size=16).execute()
    assert not any("event" in record for record in records)
