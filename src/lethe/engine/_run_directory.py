"""A run's folder: its config, its environment, its metrics and its checkpoints."""

from __future__ import annotations

import datetime
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from lethe._check import LetheError
from lethe._files import WRITTEN_ASIDE, append_line, write_file


class RunDirectory:
    """The files of one run.

    ``config.json`` the resolved options; ``environment.json`` versions, commit, command, device;
    ``metrics.jsonl`` a line an epoch; ``summary.json`` when the run is finished; ``checkpoints/``; and, where the
    data are folders of one's own, ``classes.json``, names in the order of the logits.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(
        cls,
        path: Path,
        config: dict[str, Any],
        device: torch.device,
        processes: int = 1,
        classes: Sequence[str] | None = None,
    ) -> RunDirectory:
        """Make a new one; ``classes`` are the names of a data set's classes that its name does not tell, in order.

        Raises:
            LetheError: the path exists, and nothing in it is touched; or it cannot be written, and nothing is left.
        """
        exists = LetheError(
            f"the run directory {str(path)!r} exists: choose another --out, move it away, or continue it with --resume."
        )
        if path.exists() or path.is_symlink():
            raise exists
        aside = path.with_name(f".{path.name}.{os.getpid()}{WRITTEN_ASIDE}")
        try:
            aside.mkdir(parents=True)
            directory = cls(aside)
            directory._write("config.json", config)
            directory._write("environment.json", environment(device, processes))
            if classes is not None:
                directory._write("classes.json", {"classes": list(classes)})
            aside.rename(path)  # whole or not there: a run killed here would be none, and in the way of the next
        except OSError as error:
            shutil.rmtree(aside, ignore_errors=True)
            if path.exists():
                raise exists from error
            raise LetheError(f"the run directory {str(path)!r} cannot be made: {error.strerror}.") from error
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> RunDirectory:
        """An existing one.

        Raises:
            LetheError: the path is no run directory.
        """
        if not (path / "config.json").is_file():
            raise LetheError(f"{str(path)!r} is no run directory: it has no config.json.")
        return cls(path)

    @classmethod
    def below(cls, folder: Path) -> list[RunDirectory]:
        """All run directories below a folder, however deep, by path; not those that are still being made."""
        found = sorted(config.parent for config in folder.rglob("config.json"))
        return [cls(path) for path in found if path.suffix != WRITTEN_ASIDE]

    @staticmethod
    def free_name(folder: Path, name: str) -> Path:
        """``folder/name``, or the first of ``folder/name-2``, ``-3``, … that does not exist."""
        candidate, number = folder / name, 1
        while candidate.exists():
            number += 1
            candidate = folder / f"{name}-{number}"
        return candidate

    def config(self) -> dict[str, Any]:
        """The resolved options."""
        return self._read("config.json")

    def environment(self) -> dict[str, Any]:
        """Versions, commit, command and device."""
        return self._read("environment.json")

    def classes(self) -> list[str] | None:
        """Names of the classes in the order of the logits, of a run on folders of one's own; None of any other."""
        if not (self.path / "classes.json").is_file():
            return None
        content = self._read("classes.json")
        names = content.get("classes") if isinstance(content, dict) else None
        if not isinstance(names, list) or len(names) < 2:
            raise LetheError(
                f"{str(self.path / 'classes.json')!r} does not name the classes: remove it, or restore it."
            )
        return [str(name) for name in names]

    def summary(self) -> dict[str, Any] | None:
        """What a finished run ended with; None while it is not finished."""
        return self._read("summary.json") if (self.path / "summary.json").is_file() else None

    def finish(self, summary: dict[str, Any]) -> None:
        """Write the summary; the run is then finished, and needs no checkpoint to fall back to.

        Raises:
            LetheError: it cannot be written.
        """
        self._write("summary.json", summary)
        self.checkpoint("last-previous").unlink(missing_ok=True)

    def append(self, record: dict[str, Any]) -> None:
        """Add a line to the metrics.

        Raises:
            LetheError: it cannot be written; the metrics are as they were.
        """
        append_line(self.path / "metrics.jsonl", json.dumps(record))

    def records(self) -> list[dict[str, Any]]:
        """The lines of the metrics, up to one that a crash cut short."""
        path = self.path / "metrics.jsonl"
        if not path.is_file():
            return []
        records = []
        for line in path.read_text().splitlines():
            try:
                records.append(json.loads(line))
            except json.JSONDecodeError:
                break
        return records

    def keep_records(self, records: list[dict[str, Any]]) -> None:
        """Put these lines in place of all.

        Raises:
            LetheError: they cannot be written; the metrics are as they were.
        """
        self._put("metrics.jsonl", "".join(json.dumps(record) + "\n" for record in records))

    def checkpoint(self, name: str) -> Path:
        """Path of the checkpoint ``name``: last, last-previous, best, best-stable, megabatch-N, published."""
        return self.path / "checkpoints" / f"{name}.pt"

    def _write(self, name: str, content: dict[str, Any]) -> None:
        self._put(name, json.dumps(content, indent=2) + "\n")

    def _put(self, name: str, text: str) -> None:
        write_file(self.path / name, lambda file: file.write(text.encode()))

    def _read(self, name: str) -> dict[str, Any]:
        try:
            content: dict[str, Any] = json.loads((self.path / name).read_text())
        except (OSError, json.JSONDecodeError, UnicodeDecodeError) as error:
            raise LetheError(f"{str(self.path / name)!r} cannot be read: {error}.") from error
        return content


def environment(device: torch.device, processes: int = 1) -> dict[str, Any]:
    """What a reader of the results needs to make them again."""
    versions = {"python": platform.python_version(), "torch": str(torch.__version__)}  # with its build: +cpu, +cu130
    for package in ("lethe-torch", "torchvision", "numpy", "scikit-learn"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "command": shlex.join(["lethe", *sys.argv[1:]]),
        "commit": commit(),
        "versions": versions,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "processes": processes,
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "started": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }


def commit() -> str | None:
    """Commit of this source tree, with ``+changes`` if files differ from it; None outside a checkout."""
    here = Path(__file__).resolve().parent

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(["git", "-C", str(here), *arguments], capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return None
        return done.stdout.strip()

    # An installed copy may lie inside somebody else's repository: ask whether this very file is tracked.
    if git("ls-files", "--error-unmatch", str(Path(__file__).resolve())) is None:
        return None
    changed = git("status", "--porcelain", "--untracked-files=no", "--", str(here))
    return f"{git('rev-parse', 'HEAD')}{'+changes' if changed else ''}"
