"""Which command was meant, and how errors reach the user: one line, no traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from lethe import __version__, _launched
from lethe._check import LetheError, ToldError, one_of

COMMANDS = {
    "demo": ("lethe.cli._demo", "real data, under a minute on two cores; ends with a table and a picture"),
    "train": ("lethe.cli._train", "train a network: lethe train RECIPE [--option value ...]"),
    "anytime": ("lethe.cli._anytime", "train on data that arrives in megabatches: lethe anytime RECIPE"),
    "evaluate": (
        "lethe.cli._evaluate",
        "attack what was trained: lethe evaluate RUN [--attacks pgd-20 ...]",
    ),
    "report": ("lethe.cli._report", "tables and curves of finished runs: lethe report RUN [RUN ...]"),
    "runs": ("lethe.cli._runs", "how far runs are: lethe runs [FOLDER]"),
    "export": ("lethe.cli._export", "a run's weights as safetensors: lethe export RUN"),
    "recipes": ("lethe.cli._recipes", "what there is, with source and cost"),
}


def entry() -> int:
    """The ``lethe`` of the shell: :func:`main`, after which one of several processes ends at once."""
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read along, as head does, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the flush at exit complains
        status = 141  # 128 + SIGPIPE, as shells count
    torch = sys.modules.get("torch")  # few commands need it
    if torch is not None and torch.distributed.is_available() and torch.distributed.is_initialized():
        _launched.leave(status)
    return status


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 0, 2 after an error, 130 if stopped."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help", "help"):
        print("usage: lethe COMMAND [OPTIONS]\n")
        for name, (_, text) in COMMANDS.items():
            print(f"  {name:9} {text}")
        print("\n'lethe COMMAND --help' lists a command's options.")
        return 0
    if words[0] == "--version":
        print(f"lethe {__version__}")
        return 0
    try:
        module, _ = COMMANDS[one_of("command", words[0], COMMANDS)]
        status: int = import_module(module).command(words[1:])
    except ToldError:
        return 2
    except LetheError as error:
        rank = _launched.rank()
        print(f"lethe: error: {f'(rank {rank}) ' if rank else ''}{error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("lethe"):
            raise
        hint = "the command line needs its extra: pip install 'lethe-torch[train]'"
        print(f"lethe: error: {error.name} is not installed; {hint}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("lethe: stopped", file=sys.stderr)
        return 130
    return status
