"""`lethe train RECIPE --seeds 0:5 --sweep lr=0.1,0.05`: several runs of one command, and one table."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from lethe import _launched
from lethe._check import LetheError
from lethe.cli._grouped import closing_table
from lethe.cli._options import flags, parse_recipe, take
from lethe.cli._progress import ProgressObserver
from lethe.engine import RunDirectory, kept_options
from lethe.recipes import Recipe, load_recipe
from lethe.recipes._classes import check_classes
from lethe.report import print_sections
from lethe.report._labels import what_matters


def take_sweep(words: list[str]) -> list[tuple[str, list[str]]]:
    """Remove ``--seeds`` and every ``--sweep`` from the words, and return what they ask for.

    Returns:
        Options and their values, in the order given, seeds last: ``[("--lr", ["0.1", "0.05"]), ("--seed", ["0"])]``.

    Raises:
        LetheError: a range or list that cannot be read, or an option that is swept twice.
    """
    axes: list[tuple[str, list[str]]] = []
    while (sweep := take(words, "--sweep")) is not None:
        name, _, listed = sweep.partition("=")
        if not all(listed.split(",")):
            raise LetheError(f"--sweep wants OPTION=VALUE,VALUE,..., got {sweep!r}: for example --sweep lr=0.1,0.05.")
        axes.append((f"--{name.lstrip('-').replace('_', '-')}", listed.split(",")))
    if (seeds := take(words, "--seeds")) is not None:
        axes.append(("--seed", _seeds(seeds)))
    for option, values in axes:
        if [name for name, _ in axes].count(option) > 1 or any(
            word.partition("=")[0].replace("_", "-") in (option, f"--no-{option[2:]}") for word in words
        ):
            raise LetheError(f"{option} is given more than once: leave it out beside --sweep or --seeds.")
        if len(set(values)) < len(values):
            raise LetheError(f"{option} has the same value twice: {', '.join(values)}.")
        if option in ("--out", "--config", "--published", "--resume"):
            raise LetheError(f"{option} cannot be swept.")
    return axes


def _seeds(text: str) -> list[str]:
    """``0:5`` is 0, 1, 2, 3, 4; ``3,7`` is 3 and 7."""
    first, colon, after = text.partition(":")
    try:
        found = [str(seed) for seed in range(int(first), int(after))] if colon else text.split(",")
        if found and all(int(seed) >= 0 for seed in found):
            return found
    except ValueError:
        pass
    raise LetheError(f"--seeds wants FIRST:AFTER or a list, got {text!r}: 0:5 is 0 to 4, 3,7 is 3 and 7.")


def run_sweep(
    command: str,
    words: list[str],
    axes: Sequence[tuple[str, list[str]]],
    known: Mapping[str, type[Recipe]],
    extra_help: str,
    console: Console,
) -> int:
    """Make every run that is not finished yet, one after the other, and print one table.

    All are looked at before the first begins: a wrong option or a folder that holds something else costs nothing. Runs
    lie in folders of ``--out``, else of ``runs/RECIPE-DATASET-sweep``, named by what is swept. The same command skips
    those that are finished and goes on with one that was stopped.
    """
    folder = take(words, "--out")
    planned: list[tuple[Path, Recipe]] = []
    switches = flags(known.values())
    for values in itertools.product(*(values for _, values in axes)):
        chosen = [(option, value) for (option, _), value in zip(axes, values, strict=True)]
        swept = [_switch(*pair) if pair[0] in switches else pair for pair in chosen]
        name = "-".join("".join(pair)[2:].replace("/", "of") for pair in swept)
        recipe = parse_recipe(command, [*words, *itertools.chain(*swept)], known, extra_help)
        if recipe is None:  # help was asked for
            return 0
        recipe = recipe.resolved()
        path = Path(folder or f"runs/{recipe.name}-{recipe.data.dataset}-sweep") / name
        planned.append((path, replace(recipe, run=replace(recipe.run, out=str(path)))))
    options = [recipe.options() for _, recipe in planned]
    if any(one in options[:at] for at, one in enumerate(options)):
        raise LetheError("two of these runs would be the same: leave one of the values out.")
    telling = [(what_matters(recipe.options()), recipe.run.seed) for _, recipe in planned]
    if any(one in telling[:at] for at, one in enumerate(telling)):
        raise LetheError(
            f"a table could not tell some of these runs apart, as no result depends on what differs in them, of "
            f"{', '.join(option for option, _ in axes)}: make them one by one, each with its --out."
        )
    done = {path: _before(path, recipe, known) for path, recipe in planned}
    finished, failed = [], []
    for number, (path, recipe) in enumerate(planned, 1):
        directory = done[path]
        if directory is None or directory.summary() is None:
            console.print(f"run {number} of {len(planned)}", markup=False)
            observer = ProgressObserver(console, recipe.title())
            try:
                with observer.signals:
                    directory, _ = recipe.execute(observer=observer, resume=directory)
            except KeyboardInterrupt:
                observer.end("stopped; the same command goes on")
                return 128 + (observer.signals.received or signal.SIGINT)
            except LetheError as error:  # it has diverged, say: that is no reason to lose the others
                if _launched.count() > 1:
                    raise  # perhaps of this process alone, and then the others wait for it in vain
                observer.end(f"{path}: error: {error}")
                failed.append(path)
                continue
            finally:
                observer.end("")
        finished.append(directory)
    if finished:
        print_sections(closing_table(finished), console)
    if failed:
        raise LetheError(f"{len(failed)} of {len(planned)} runs failed: {', '.join(map(str, failed))}.")
    written = ", ".join(sorted({str(path.parent) for path, _ in planned}))
    console.print(f"written: {len(planned)} runs in {written}", markup=False, soft_wrap=True)
    return 0


def _switch(option: str, value: str) -> tuple[str]:
    """The word that turns an option on or off."""
    if value.lower() not in ("true", "false"):
        raise LetheError(f"{option} is on or off: sweep it as {option[2:]}=true,false, not {value!r}.")
    return (option if value.lower() == "true" else f"--no-{option[2:]}",)


def _before(path: Path, recipe: Recipe, known: Mapping[str, type[Recipe]]) -> RunDirectory | None:
    """What an earlier call of the same command left there."""
    if not path.exists():
        return None
    directory = RunDirectory.open(path)
    if kept_options(load_recipe(path, known).options()) != kept_options(recipe.options()):
        raise LetheError(f"{str(path)!r} holds a run with other options: choose another --out, or move it away.")
    check_classes(directory, recipe.data, "choose another --out, or move the run away")
    return directory
