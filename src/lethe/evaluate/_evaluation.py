"""A whole evaluation: attack by attack, kept as it goes, so that it can be stopped and continued."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lethe._check import LetheError
from lethe._files import write_file
from lethe._guard import evaluation_mode
from lethe.data import ImageSet, batches
from lethe.evaluate._autoattack import STAGES, autoattack_stage, enough_classes
from lethe.evaluate._calibration import calibration_error
from lethe.evaluate._masking import signs_in_the_network, signs_in_the_verdicts
from lethe.evaluate._named_attacks import WHOLE, BatchAttack, Threat, batch_attack, title

OFFICIAL = "official corruptions"
BESIDE = ("corruptions", OFFICIAL, "sharpness")

OnProgress = Callable[[str, float], None]
"""Told the attack and the share of the images that it has done."""


@dataclass
class Evaluation:
    """What is known of a network, and the file that keeps it.

    Attributes:
        about: what was evaluated, on what: a file of another evaluation is refused.
        right: by name of the attack, which images are classified right in spite of it, (N,).
        made: by name of the attack, with which step size, batch size, seed, source and torch.
        seconds: by name of the attack, how long it took.
        calibration: the expected calibration error on clean images; None: not measured yet.
        said: AutoAttack's own warnings.
        beside: what is no attack, by name (``corruptions``, which were made, ``official corruptions``, ``sharpness``):
            how it was made, and what was found.
        warnings: signs that the numbers are not to be believed, AutoAttack's among them.
        looked_at: the attacks whose verdicts were looked through for such signs; None: they were not.
        path: the file; None keeps nothing.
    """

    about: dict[str, Any]
    right: dict[str, Tensor] = field(default_factory=dict)
    made: dict[str, dict[str, Any]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    calibration: float | None = None
    said: list[str] = field(default_factory=list)
    beside: dict[str, dict[str, Any]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    looked_at: list[str] | None = None
    path: Path | None = None

    @classmethod
    def open(cls, path: Path | None, about: dict[str, Any]) -> Evaluation:
        """Go on with the file if there is one.

        Raises:
            LetheError: the file is of another evaluation, or damaged.
        """
        evaluation = cls(about, path=path)
        if path is None or not path.exists():
            return evaluation
        try:
            content = json.loads(path.read_text())
            if content["about"] != json.loads(json.dumps(about)):
                raise LetheError(f"{str(path)!r} is of another evaluation: choose another --out, or move it away.")
            evaluation.right = {name: _flags(text) for name, text in content["right"].items()}
            evaluation.made = content["made"]
            evaluation.seconds = content["seconds"]
            evaluation.warnings = content["warnings"]
            evaluation.looked_at = content.get("warnings are of")
            evaluation.calibration = content["expected calibration error"]
            evaluation.said = content["said by AutoAttack"]
            evaluation.beside = {name: content[name] for name in BESIDE if name in content}
            evaluation._part_official()
        except (OSError, ValueError, KeyError, TypeError) as error:
            if isinstance(error, LetheError):
                raise
            raise LetheError(f"{str(path)!r} cannot be read as an evaluation: {error!r}; move it away.") from error
        return evaluation

    def _part_official(self) -> None:
        """Files of version 0.1.0 have made and official corruptions, the last measured of them, in one place."""
        found = self.beside.get("corruptions")
        if found is not None and str(found["made"]["source"]).startswith("CIFAR-"):
            self.beside.setdefault(OFFICIAL, self.beside.pop("corruptions"))

    def has(self, name: str, how: dict[str, Any]) -> bool:
        """Whether this attack is done, and in this way; what was made in another is taken out."""
        before = {key: value for key, value in self.made.get(name, how).items() if key != "torch"}
        if before != how:
            self.right = {key: flags for key, flags in self.right.items() if key.partition(":")[0] != name}
            self.seconds.pop(name, None)
        self.made[name] = how | {"torch": str(torch.__version__)} if name not in self.right else self.made[name]
        return name in self.right

    def found_beside(self, name: str, how: dict[str, Any]) -> dict[str, Any]:
        """What has been found of this so far, to be added to; empty if it was made in another way."""
        how = json.loads(json.dumps(how))
        if self.beside.get(name, {}).get("made") != how:
            self.beside[name] = {"made": how, "found": {}}
        found: dict[str, Any] = self.beside[name]["found"]
        return found

    def accuracy(self, name: str) -> float:
        """Share of the images that are right in spite of this attack."""
        return float(self.right[name].double().mean())

    def worst(self) -> float:
        """Share of the images that no attack fooled."""
        return float(torch.stack(list(self.right.values())).all(0).double().mean())

    def content(self) -> dict[str, Any]:
        """As JSON, in AutoAttack's words."""
        robust = {title(name): self.accuracy(name) for name in self.right if name != "clean"}
        return {
            "about": self.about,
            "clean accuracy": self.accuracy("clean") if "clean" in self.right else None,
            "robust accuracy": robust,
            "robust accuracy, worst of all": self.worst() if robust else None,
            "expected calibration error": self.calibration,
            "warnings": self.warnings,
            "warnings are of": self.looked_at,
            "said by AutoAttack": self.said,
            "made": self.made,
            "seconds": self.seconds,
            **self.beside,
            "right": {name: "".join(map(str, flags.int().tolist())) for name, flags in self.right.items()},
        }

    def save(self) -> None:
        """Write the file aside and move it into place.

        Raises:
            LetheError: it cannot be written; the old one is as it was.
        """
        if self.path is not None:
            text = json.dumps(self.content(), indent=1) + "\n"
            write_file(self.path, lambda file: file.write(text.encode()))


def evaluate(
    model: nn.Module,
    data: ImageSet,
    attacks: Sequence[str],
    threat: Threat,
    *,
    evaluation: Evaluation | None = None,
    source: nn.Module | None = None,
    batch_size: int = 250,
    seed: int = 0,
    on_progress: OnProgress = lambda name, share: None,
    source_name: str | None = None,
) -> Evaluation:
    """Measure clean accuracy, calibration, and robust accuracy under each attack; look for signs of masked gradients.

    Each attack that is done is kept in the evaluation's file at once, and one that is there already, made with the same
    step size, batch size, seed and source, is not run again.

    Args:
        model: from images (B, C, H, W) in [0, 1] to logits (B, K), on the data's device; it is left as it was.
        data: images and labels.
        attacks: names, as :func:`batch_attack` knows them; ``clean`` is always measured.
        threat: norm, radius and step size.
        evaluation: to go on with; None: a new one that keeps nothing.
        source: the network that transferred images are made on.
        batch_size: images at a time.
        seed: of the attacks, the same for each.
        on_progress: told how it goes.
        source_name: what identifies ``source``; another one makes transferred images anew.

    Raises:
        LetheError: an unknown attack, or one that there are too few classes for, found before anything is run.
    """
    names = list(dict.fromkeys(["clean", *attacks]))
    known = {name: batch_attack(name, threat, source) for name in names}
    done = evaluation if evaluation is not None else Evaluation({})
    for name in names:
        if name in WHOLE:
            enough_classes(name, data.classes)
    for name in names:
        how: dict[str, Any] = {"step size": threat.step, "batch size": batch_size, "seed": seed}
        if name == "transfer":
            how["source"] = source_name
        if done.has(name, {} if name == "clean" else how):
            continue
        started, before = time.monotonic(), done.seconds.get(name, 0.0)  # of an ensemble that was stopped
        on_progress(name, 0.0)
        if name in WHOLE:
            _ensemble(model, data, name, threat, done, batch_size, seed, on_progress)
        else:
            done.right[name] = _verdicts(model, data, name, known[name], threat, batch_size, seed, on_progress)
        done.seconds[name] = round(before + time.monotonic() - started, 1)
        on_progress(name, 1.0)
        done.save()
    if done.calibration is None:
        done.calibration = calibration_error(model, data, batch_size=batch_size)
    if len(names) > 1 and done.looked_at != list(done.right):  # also where it was stopped before it had looked
        network = signs_in_the_network(model, data, threat, seed=seed)
        done.warnings = [*network, *signs_in_the_verdicts(done.right, threat), *done.said]
        done.looked_at = list(done.right)
    done.save()
    return done


def _verdicts(
    model: nn.Module,
    data: ImageSet,
    name: str,
    attack: BatchAttack | None,
    threat: Threat,
    batch_size: int,
    seed: int,
    on_progress: OnProgress,
) -> Tensor:
    """Which images are right in spite of the attack, (N,), on the CPU."""
    generator = torch.Generator().manual_seed(seed)
    flags: list[Tensor] = []
    seen = 0
    with evaluation_mode(model), torch.no_grad():
        for x, y in batches(data, batch_size):
            images = x if attack is None else attack(model, x, y, generator)
            right = model(images).argmax(1) == y
            if name == "cw-l2":  # the shortest perturbation counts where it is within the ball
                right = right | ((images - x).flatten(1).norm(dim=1) > threat.epsilon) & (model(x).argmax(1) == y)
            flags.append(right.cpu())
            seen += len(y)
            on_progress(name, seen / len(data))
    return torch.cat(flags)


def _ensemble(
    model: nn.Module,
    data: ImageSet,
    name: str,
    threat: Threat,
    done: Evaluation,
    batch_size: int,
    seed: int,
    on_progress: OnProgress,
) -> None:
    """Run AutoAttack's attacks one after the other, each on the images that are left, and keep each."""
    stages, right = STAGES[name], done.right["clean"]
    started, before = time.monotonic(), done.seconds.get(name, 0.0)
    for number, stage in enumerate(stages):
        key = name if number + 1 == len(stages) else f"{name}:{stage}"
        if key not in done.right:
            done.right[key], said = autoattack_stage(
                model,
                data,
                threat,
                stage,
                right,
                version=name,
                batch_size=batch_size,
                seed=seed,
                on_progress=lambda share, number=number: on_progress(name, (number + share) / len(stages)),  # type: ignore[misc]
            )
            done.said += [warning for warning in said if warning not in done.said]
            done.seconds[name] = round(before + time.monotonic() - started, 1)
            done.save()
        right = done.right[key]


def _flags(text: str) -> Tensor:
    return torch.tensor([character == "1" for character in text], dtype=torch.bool)
