"""`lethe train RECIPE`."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from rich.console import Console

from lethe._check import LetheError
from lethe.cli._options import parse_recipe, take
from lethe.cli._progress import ProgressObserver
from lethe.cli._sweep import run_sweep, take_sweep
from lethe.engine import RunDirectory
from lethe.recipes import TRAIN_RECIPES, Recipe, load_recipe
from lethe.report import group_runs, print_sections, sections

HELP = """

--config FILE: take the options of a saved config (a run's config.json); others on the line override it.
--published: start from the settings of the paper's own script for this data set, network and augmentation.
--seeds 0:5 (or 3,7), --sweep OPTION=VALUE,VALUE,...: a run for each, and one table; the same command goes on.
--resume RUN: continue a run that was stopped, to the bit, from its last checkpoint."""


def command(words: list[str]) -> int:
    """Train, and print the run's table."""
    console = Console(quiet=os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")) != "0")  # one process speaks
    if axes := take_sweep(words):
        if "--resume" in words:
            raise LetheError("--resume does not go with --seeds or --sweep: the same command goes on by itself.")
        return run_sweep(words, axes, HELP, console)
    resume = take(words, "--resume")
    directory = None
    if resume is not None:
        if words:
            raise LetheError(f"--resume takes its options from the run: leave {' '.join(words)!r} out.")
        directory = RunDirectory.open(Path(resume))
        if directory.summary() is not None:
            raise LetheError(f"the run {resume!r} is finished: see it with lethe report {resume}.")
        recipe: Recipe | None = load_recipe(directory.path / "config.json", TRAIN_RECIPES)
    else:
        recipe = parse_recipe("train", words, TRAIN_RECIPES, HELP)
    if recipe is None:
        return 0
    observer = ProgressObserver(console)
    try:
        with observer.signals:
            directory, _ = recipe.execute(observer=observer, resume=directory)
    except KeyboardInterrupt:
        observer.end(f"stopped; go on with: lethe train --resume {observer.where}" if observer.where else "stopped")
        return 128 + (observer.signals.received or signal.SIGINT)
    finally:
        observer.end("")
    print_sections(sections(group_runs([directory])), console)
    console.print(f"written: {directory.path} (config, metrics.jsonl, checkpoints)", markup=False, soft_wrap=True)
    return 0
