"""`lethe export RUN`."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from lethe import __version__
from lethe._check import LetheError, nearest
from lethe.cli._options import take
from lethe.data import image_side
from lethe.engine import RunDirectory
from lethe.recipes import ALL_RECIPES, load_model, load_recipe
from lethe.recipes._load_model import checkpoint_of

USAGE = """usage: lethe export RUN [--checkpoint best] [--out FILE]

Writes a run's weights as safetensors: best (the default, chosen on validation images), best-stable, last, or of an
anytime run megabatch-N, the last of which is the default. The file loads into the network that lethe.models.build makes
of the run's model options, which its metadata hold beside the images' size and an imagefolder's class names;
normalisation is among the weights. Without --out it is RUN/CHECKPOINT.safetensors."""


def command(words: list[str]) -> int:
    """Write the file."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    if not words or words[0] in ("-h", "--help"):
        print(USAGE)
        return 0
    asked, out = take(words, "--checkpoint") or "best", take(words, "--out")
    if wrong := [word for word in words if word.startswith("-")]:
        raise LetheError(f"unknown option {wrong[0]!r}.{nearest(wrong[0], ['--checkpoint', '--out'])}")
    if len(words) != 1:
        raise LetheError(f"lethe export takes one run, got {' '.join(words)!r}.")
    directory = RunDirectory.open(Path(words[0]))
    checkpoint = checkpoint_of(directory, asked)
    model = load_model(directory.path, checkpoint)
    path = directory.path / f"{checkpoint}.safetensors" if out is None else Path(out)
    config = directory.config()
    metadata = {
        "lethe": __version__,
        "recipe": str(config["recipe"]),
        "checkpoint": checkpoint,
        "dataset": str(config["data"]["dataset"]),
        "image_size": str(image_side(load_recipe(directory.path, ALL_RECIPES).data)),
        "model": json.dumps(config["model"]),
    }
    if (classes := directory.classes()) is not None:
        metadata["classes"] = json.dumps(classes)
    if path.is_dir():
        raise LetheError(f"{str(path)!r} is a folder: name a file with --out.")
    temporary = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({name: value.contiguous() for name, value in model.state_dict().items()}, temporary, metadata)
        temporary.replace(path)
    except (OSError, SafetensorError) as error:
        with suppress(OSError):
            temporary.unlink()
        raise LetheError(f"{str(path)!r} cannot be written: {error}.") from error
    print(f"written: {path}")
    return 0
