"""What `lethe train` and `lethe anytime` have in common: a run, one that goes on, or a sweep."""

from __future__ import annotations

import signal
from pathlib import Path

from rich.console import Console

from lethe import _launched
from lethe._check import LetheError
from lethe.cli._grouped import closing_table
from lethe.cli._options import COMMANDS, TAKEN, parse_recipe, take
from lethe.cli._progress import ProgressObserver
from lethe.cli._sweep import run_sweep, take_sweep
from lethe.engine import RunDirectory, kept_options
from lethe.engine._last import FREE
from lethe.recipes import Recipe, load_recipe
from lethe.report import print_sections

HELP = """

--config FILE: take the options of a saved config (a run's config.json); others on the line override it.
--seeds 0:5 (or 3,7), --sweep OPTION=VALUE,VALUE,...: a run for each, and one table; the same command goes on.
--resume RUN: continue a run that was stopped, to the bit, from its last checkpoint; --devices, --device, --data-dir and
what else says where it runs may be given anew."""


def make_runs(command: str, words: list[str], extra_help: str = "") -> int:
    """Make a run, or every run of a sweep, and print the table.

    Args:
        command: ``train`` or ``anytime``.
        words: what follows it.
        extra_help: lines for the help, beside those that both commands have.
    """
    console, known = Console(quiet=_launched.rank() > 0), COMMANDS[command]  # of several processes the first speaks
    if axes := take_sweep(words):
        if any(word.partition("=")[0] == "--resume" for word in words):
            raise LetheError("--resume does not go with --seeds or --sweep: the same command goes on by itself.")
        return run_sweep(command, words, axes, known, HELP + extra_help, console)
    resume = take(words, "--resume")
    directory = None
    if resume is not None:
        recipe_named = bool(words) and not words[0].startswith("-")
        if recipe_named or any(word.partition("=")[0] in ("--out", *TAKEN) for word in words):
            raise LetheError(f"--resume takes its options from the run: leave {' '.join(words)!r} out.")
        directory, recipe = _unfinished(command, Path(resume))
        if words:
            recipe = _elsewhere(command, directory, words)
    else:
        parsed = parse_recipe(command, words, known, HELP + extra_help)
        if parsed is None:
            return 0
        recipe = parsed
    observer = ProgressObserver(console, recipe.title())
    try:
        with observer.signals:
            directory, _ = recipe.execute(observer=observer, resume=directory)
    except KeyboardInterrupt:
        go_on = f"stopped; go on with: lethe {command} --resume {observer.where}"
        observer.end(go_on if observer.where else "stopped")
        return 128 + (observer.signals.received or signal.SIGINT)
    finally:
        observer.end("")
    print_sections(closing_table([directory]), console)
    console.print(f"written: {directory.path} (config, metrics.jsonl, checkpoints)", markup=False, soft_wrap=True)
    return 0


def _elsewhere(command: str, directory: RunDirectory, words: list[str]) -> Recipe:
    """The run as it goes on where the words say: on another device, with its data in another place.

    Raises:
        LetheError: a word says more than that, which would be another run.
    """
    before = load_recipe(directory.path / "config.json", COMMANDS[command])
    recipe = parse_recipe(command, ["--config", str(directory.path / "config.json"), *words], COMMANDS[command], "")
    if recipe is None or kept_options(recipe.options()) != kept_options(before.options()):
        may = ", ".join(
            f"--{option.replace('_', '-')}" for options in FREE.values() for option in options if option != "out"
        )
        raise LetheError(
            f"--resume takes its options from the run: leave {' '.join(words)!r} out. What may be another is where and "
            f"how it runs: {may}."
        )
    return recipe


def _unfinished(command: str, path: Path) -> tuple[RunDirectory, Recipe]:
    """A run that can go on, and what it is.

    Raises:
        LetheError: no run, a finished one, or one of the other command.
    """
    directory = RunDirectory.open(path)
    if directory.summary() is not None:
        raise LetheError(f"the run {str(path)!r} is finished: see it with lethe report {path}.")
    name = directory.config().get("recipe")
    for other, recipes in COMMANDS.items():
        if other != command and name in recipes:
            raise LetheError(f"the run {str(path)!r} is one of lethe {other}: lethe {other} --resume {path}.")
    return directory, load_recipe(directory.path / "config.json", COMMANDS[command])
