"""Evaluate what a run has trained, or a file of weights."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lethe import models
from lethe._check import LetheError, at_least, one_of
from lethe._check import seed as check_seed
from lethe.data import DataConfig, ImageSet, Splits, facts, image_side, load
from lethe.engine import RunConfig, RunDirectory, load_checkpoint
from lethe.evaluate import (
    CorruptionSet,
    Evaluation,
    MadeCorruptions,
    OfficialCorruptions,
    OnProgress,
    Threat,
    batch_attack,
    evaluate,
    measure_corruptions,
    measure_sharpness,
)
from lethe.evaluate._which_images import class_after_class, which_images
from lethe.recipes._anytime import AnytimeRecipe
from lethe.recipes._base import Recipe
from lethe.recipes._classes import OTHER_FOLDER, check_classes
from lethe.recipes._file import load_recipe
from lethe.recipes._load_model import checkpoint_of, load_model
from lethe.recipes._registry import ALL_RECIPES


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """What is measured."""

    attacks: tuple[str, ...] = ()
    """Of fgsm, pgd-STEPS, cw-STEPS, cw-l2, autoattack, autoattack-rand, square, transfer; clean is always measured.
    None named: fgsm, in linf alone, pgd-20 and cw-100."""
    checkpoint: str = "best"
    """Of a run: best, last, best-stable, last-stable (where there is an average), megabatch-N; best of an anytime run
    is the one after its last megabatch."""
    images: int | None = None
    """The first so many images of the part, or, where they lie class after class as in folders, so many evenly over
    all; none: all."""
    part: str = "test"
    """Of the data that the run was trained with: test, or validation."""
    norm: str | None = None
    """The ball: linf or l2; none: the run's, or linf."""
    epsilon: float | None = None
    """Its radius; none: the run's, or 8/255 in linf."""
    step_size: float | None = None
    """Of PGD; none: the run's where the ball is, else a quarter of epsilon."""
    transfer_from: str | None = None
    """Run directory of the network that transferred images are made on."""
    transfer_checkpoint: str = "best"
    """Of that run."""
    corruptions: bool = False
    """Also under natural corruptions of five severities: made ones, unless corruptions-dir names the official."""
    corruptions_dir: str | None = None
    """Folder that holds CIFAR-10-C or CIFAR-100-C; turns corruptions on. The first images count."""
    sharpness: bool = False
    """Also how the loss on training images rises around the weights, as numbers and a picture."""
    sharpness_images: int = 1000
    """Training images that it is measured on."""
    batch_size: int = 250
    """Images at a time; AutoAttack's draws depend on it."""
    channels_last: bool = True
    """Store the weights so, which many devices compute faster with; rounding differs."""
    attack_seed: int = 0
    """Of the attacks."""
    data_dir: str | None = None
    """Folder of the data set; none: the run's."""
    config: str | None = None
    """A run's config.json, which says what network a bare file of weights belongs to."""
    device: str = "auto"
    """cpu, cuda, cuda:1, mps; auto: the GPU if there is one."""
    out: str | None = None
    """File of the results; none: in the run directory, under evaluations."""

    def __post_init__(self) -> None:
        one_of("part", self.part, ("test", "validation"))
        at_least("batch_size", self.batch_size, 1)
        check_seed("attack_seed", self.attack_seed)
        at_least("sharpness_images", self.sharpness_images, 1)
        if self.images is not None:
            at_least("images", self.images, 1)

    def execute(self, target: Path, on_progress: OnProgress = lambda name, share: None) -> Evaluation:
        """Evaluate a run directory, a checkpoint of one, or a file of weights.

        Returns:
            The evaluation, which is kept in a file as it goes: the same command continues one that was stopped.

        Raises:
            LetheError: nothing to evaluate there, an unknown attack, or data that are not there.
        """
        recipe, model, name = self._model(target)
        threat = self._threat(recipe)
        data = self._data(recipe)
        source = self._source(data)
        attacks = self.attacks or (("fgsm",) if threat.norm == "linf" else ()) + ("pgd-20", "cw-100")
        for attack in attacks:  # an unknown one is told before anything is read
            batch_attack(attack, threat, source)
        device = RunConfig(device=self.device).torch_device()
        splits = load(data)
        part = getattr(splits, self.part)
        count = len(part) if self.images is None else self.images
        if len(part) == 0:
            raise LetheError(f"the {self.part} part of this run's data is empty: evaluate on the other part.")
        if count > len(part):
            raise LetheError(f"images is {count}, but the {self.part} part has {len(part)}: ask for fewer.")
        about = self._about(recipe, splits, model, name, count, threat)
        if count < len(part) and class_after_class(part.labels):
            about["chosen"] = "evenly"  # not the first: an evaluation of those goes by another name
        path = Path(self.out) if self.out is not None else self._place(target, name, count, threat)
        model, images = self._placed(model, device), part.subset(which_images(part.labels, count)).to(device)
        corruptions = self._corruptions(recipe, images)
        evaluation = evaluate(
            model,
            images,
            attacks,
            threat,
            evaluation=Evaluation.open(path, about),
            source=None if source is None else self._placed(source, device),
            batch_size=self.batch_size,
            seed=self.attack_seed,
            on_progress=on_progress,
            source_name=None if source is None else f"{self.transfer_from} {fingerprint(source)}",
        )
        if corruptions is not None:
            how = {"seed": self.attack_seed, "images": count}
            measure_corruptions(
                model, corruptions, evaluation, how, batch_size=self.batch_size, on_progress=on_progress
            )
        if self.sharpness:
            some = which_images(splits.train.labels, min(self.sharpness_images, len(splits.train)))
            chosen = splits.train.subset(some).to(device)
            measure_sharpness(
                model,
                chosen,
                evaluation,
                {"part": "train"},
                seed=self.attack_seed,
                batch_size=self.batch_size,
                on_progress=on_progress,
            )
        return evaluation

    def _placed(self, model: nn.Module, device: torch.device) -> nn.Module:
        """On the device, its weights as they are computed with fastest."""
        model = model.to(device)
        return models.channels_last(model) if self.channels_last else model

    def _source(self, data: DataConfig) -> nn.Module | None:
        """The network that transferred images are made on; of other classes its images would mislead nobody."""
        if self.transfer_from is None:
            return None
        directory = RunDirectory.open(Path(self.transfer_from))
        learnt = load_recipe(directory.path, ALL_RECIPES).data
        for option in ("dataset", "restricted_classes"):
            theirs, ours = getattr(learnt, option), getattr(data, option)
            if theirs != ours and (option == "dataset" or data.dataset == "restricted-imagenet"):
                raise LetheError(
                    f"{self.transfer_from!r} has learnt {option} {theirs}, and {ours} is attacked: transfer from a run "
                    "of the same classes."
                )
        check_classes(directory, data, "transfer from a run of the same classes")
        return load_model(self.transfer_from, self.transfer_checkpoint, data_dir=self.data_dir)

    def _data(self, recipe: Recipe) -> DataConfig:
        """The run's, where they are now."""
        return recipe.data if self.data_dir is None else replace(recipe.data, data_dir=self.data_dir)

    def _corruptions(self, recipe: Recipe, images: ImageSet) -> CorruptionSet | None:
        if self.corruptions_dir is not None:
            if self.part != "test":
                raise LetheError("the official corruptions are of test images: leave --part out.")
            data = recipe.data
            return OfficialCorruptions(
                Path(self.corruptions_dir), data.dataset, len(images), data.image_size, images.labels.device
            )
        return MadeCorruptions(images, self.attack_seed) if self.corruptions else None

    def _model(self, target: Path) -> tuple[Recipe, nn.Module, str]:
        """Recipe, network in evaluation mode, and name of the checkpoint."""
        if target.is_dir():
            if self.config is not None:
                raise LetheError("a run directory has its own config: leave --config out.")
            directory, recipe = RunDirectory.open(target), load_recipe(target, ALL_RECIPES)
            name = checkpoint_of(directory, self.checkpoint)
            model = load_model(target, name, data_dir=self.data_dir)
            check_classes(directory, self._data(recipe), OTHER_FOLDER)
            return recipe, model, name
        if not target.is_file():
            raise LetheError(f"{str(target)!r} is neither a run directory nor a file of weights.")
        if self.checkpoint != "best":
            raise LetheError("a file of weights is the checkpoint: leave --checkpoint out.")
        config = target.parent.parent / "config.json" if self.config is None else Path(self.config)
        if not config.is_file():
            raise LetheError(
                f"{str(target)!r} lies in no run directory: name the config.json of its network with --config."
            )
        recipe = load_recipe(config, ALL_RECIPES)
        content = load_checkpoint(target)
        weights: dict[str, Any] = content["model"] if isinstance(content.get("model"), dict) else content
        data, run = self._data(recipe), RunDirectory(config.parent)
        check_classes(run, data, OTHER_FOLDER)
        model = models.build(recipe.model, *facts(data, run.classes()), image_side(data))
        try:
            model.load_state_dict(weights)
        except (RuntimeError, TypeError, AttributeError) as error:
            raise LetheError(f"the weights in {str(target)!r} do not fit the network of {str(config)!r}.") from error
        return recipe, model.eval(), target.stem

    def _threat(self, recipe: Recipe) -> Threat:
        trained = getattr(recipe, "attack", None)
        if isinstance(recipe, AnytimeRecipe):  # which has an attack's options in any case
            trained = recipe.evaluation_attack()
        norm = self.norm or (trained.norm if trained is not None else "linf")
        epsilon = self.epsilon
        step_size = self.step_size
        if epsilon is None and trained is not None and norm == trained.norm:
            epsilon = trained.epsilon
            step_size = trained.step_size if step_size is None else step_size
        if epsilon is None and norm == "l2":
            raise LetheError("the run was not trained in l2: say how large the ball is with --epsilon.")
        return Threat(norm, 8 / 255 if epsilon is None else epsilon, step_size)

    def _about(
        self, recipe: Recipe, splits: Splits, model: nn.Module, name: str, count: int, threat: Threat
    ) -> dict[str, Any]:
        return {
            "recipe": recipe.name,
            "seed": recipe.run.seed,
            "checkpoint": name,
            "weights": fingerprint(model),
            "data": recipe.options()["data"] | {"data_dir": None, "download": False, "workers": None},
            "part": self.part,
            "images": count,
            "of": str(splits),
            "norm": threat.norm,
            "epsilon": threat.epsilon,
        }

    def _place(self, target: Path, name: str, count: int, threat: Threat) -> Path:
        folder = target if target.is_dir() else target.parent
        radius = f"{threat.epsilon * 255:.4g}of255" if threat.norm == "linf" else f"{threat.epsilon:.4g}"
        return folder / "evaluations" / f"{name}-{self.part}{count}-{threat.norm}-{radius}.json"


def fingerprint(model: nn.Module) -> str:
    """Of a network's weights and buffers: two networks that differ in one bit have two."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]
