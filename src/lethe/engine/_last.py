"""The checkpoint ``last``, from which a run goes on: of which run it is, and the one before it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lethe._check import LetheError
from lethe._files import writing
from lethe.engine._checkpoint import load_checkpoint, save_checkpoint
from lethe.engine._observer import Observer
from lethe.engine._run_directory import RunDirectory

FREE: dict[str, tuple[str, ...]] = {
    "run": ("out", "device", "checkpoint_minutes"),
    "data": ("data_dir", "download", "workers"),
    "compute": ("devices", "strategy"),
    "evaluation": ("eval_batch_size",),
    "distillation": ("clean_teacher", "robust_teacher"),
    "stream": ("arrivals", "idle_minutes"),
    "track": ("track", "track_project"),
}
"""Options that may change between a stop and a resume: where things lie, on how many devices, who is told."""


def save_last(directory: RunDirectory, state: dict[str, Any]) -> None:
    """Move a new ``last`` into place, and keep the one before it as ``last-previous``.

    Raises:
        LetheError: it cannot be written; ``last`` and ``last-previous`` are as they were.
    """
    save_checkpoint(
        directory.checkpoint("last"),
        {**state, "config": kept_options(directory.config())},
        previous=directory.checkpoint("last-previous"),
    )


def load_last(directory: RunDirectory, observer: Observer) -> dict[str, Any] | None:
    """Read ``last``, or the one before it if ``last`` is damaged, which the observer is told.

    Returns:
        The state; None if the run was stopped before it saved any.

    Raises:
        LetheError: both are damaged, or the checkpoint is of another run's config.
    """
    last, previous = directory.checkpoint("last"), directory.checkpoint("last-previous")
    try:
        state = load_checkpoint(last) if last.is_file() or not previous.is_file() else None
    except LetheError as error:
        if not last.is_file():
            return None
        state, wrong = None, str(error)
    else:
        wrong = f"no checkpoint {str(last)!r}."
    if state is None:
        try:
            state = load_checkpoint(previous)
        except LetheError as error:
            hint = f"start it anew with --config {directory.path / 'config.json'}"
            raise LetheError(f"{wrong} There is no good one before it either: {hint}.") from error
        _check_config(state, directory, previous)
        with writing(last):
            previous.replace(last)  # else the next save would keep the damaged one as the one before it
        observer.say(f"{wrong} Going on from the one before it; what was done since is done again, to the same bits.")
        return state
    _check_config(state, directory, last)
    return state


def does_not_fit(directory: RunDirectory) -> LetheError:
    """What to raise where a state that was read cannot be loaded into the run's network."""
    return LetheError(f"the checkpoint {str(directory.checkpoint('last'))!r} does not fit the run's config.")


def _check_config(state: dict[str, Any], directory: RunDirectory, path: Path) -> None:
    theirs, mine = state.get("config"), kept_options(directory.config())
    if not isinstance(theirs, dict) or theirs == mine:  # checkpoints of version 0.1.0 have none
        return
    one, two = dict(_flat(theirs)), dict(_flat(mine))
    name = next((n for n in [*two, *one] if one.get(n) != two.get(n)), "options")
    raise LetheError(
        f"the checkpoint {str(path)!r} is of another config: it was made with {name} {one.get(name)}, "
        f"the run's config.json has {two.get(name)}. Put the run's own checkpoint or config back."
    )


def kept_options(config: dict[str, Any]) -> dict[str, Any]:
    """The options that a run must keep to its end; the others say where, by whom and how often."""
    return {
        name: {key: value for key, value in section.items() if key not in FREE.get(name, ())}
        if isinstance(section, dict)
        else section
        for name, section in config.items()
    }


def _flat(options: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, section in options.items():
        if isinstance(section, dict):
            yield from section.items()
        else:
            yield name, section
