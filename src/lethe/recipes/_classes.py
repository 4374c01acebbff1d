"""The classes of a run on folders of one's own: kept with the run, so that its network is whole without the folders."""

from __future__ import annotations

from lethe._check import LetheError
from lethe.data import DataConfig, class_names
from lethe.engine import RunDirectory


def check_classes(directory: RunDirectory, data: DataConfig) -> None:
    """See that the folders hold the classes that the run has learnt, since a class is its place among them.

    Raises:
        LetheError: they hold others.
    """
    if (learnt := directory.classes()) is None:
        return
    found = class_names(data) or []
    if learnt == found:
        return
    first = sorted(set(learnt) ^ set(found))[0]
    where = "is not there" if first in learnt else "is new"
    raise LetheError(
        f"{str(data.data_dir)!r} does not hold the {len(learnt)} classes that {str(directory.path)!r} has learnt: "
        f"{first!r} {where}. Name the folder of the same classes with --data-dir."
    )
