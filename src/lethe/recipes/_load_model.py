"""The network that a run has trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from torch import nn

from lethe import models
from lethe._check import LetheError
from lethe.data import facts, image_side
from lethe.engine import RunDirectory, load_checkpoint
from lethe.recipes._file import load_recipe
from lethe.recipes._registry import ALL_RECIPES


def load_model(run: str | Path, checkpoint: str = "best", *, data_dir: str | None = None) -> nn.Module:
    """Build a run's network and load the weights of one of its checkpoints, on the CPU, in evaluation mode.

    Args:
        run: the run directory.
        checkpoint: ``best``, ``best-stable`` (both chosen on validation images), ``last``, ``last-stable``, or of an
            anytime run ``megabatch-3``, of which ``best`` is the one after its last megabatch.
        data_dir: where the run's data are now; None: where they were. Only an imagefolder's run that has no
            ``classes.json`` counts its classes there.

    Returns:
        From images (B, C, H, W) in [0, 1] to logits (B, K); normalisation is inside.

    Raises:
        LetheError: no run directory, or no such checkpoint; the message names those that there are.
    """
    directory = RunDirectory.open(Path(run))
    path = directory.checkpoint(checkpoint_of(directory, checkpoint))
    if not path.is_file():
        there = ", ".join(sorted(p.stem for p in path.parent.glob("*.pt"))) or "none"
        raise LetheError(f"the run {str(run)!r} has no checkpoint {checkpoint!r}; it has: {there}.")
    recipe = load_recipe(directory.path, ALL_RECIPES)
    data = recipe.data if data_dir is None else replace(recipe.data, data_dir=data_dir)
    model = models.build(recipe.model, *facts(data, directory.classes()), image_side(data))
    model.load_state_dict(load_checkpoint(path)["model"])
    return model.eval()


def checkpoint_of(directory: RunDirectory, asked: str) -> str:
    """The checkpoint that is meant: ``best`` of an anytime run is the one after the last megabatch that it has learnt.

    Each megabatch's best epoch is chosen on its validation images; among megabatches the last has seen the most.
    """
    if asked != "best" or directory.checkpoint("best").is_file():
        return asked
    found = [path.stem for path in directory.checkpoint("best").parent.glob("megabatch-*.pt")]
    numbered = [name for name in found if name.removeprefix("megabatch-").isdigit()]
    return max(numbered, key=lambda name: int(name.removeprefix("megabatch-")), default=asked)
