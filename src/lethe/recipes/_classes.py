"""The classes of a run on folders of one's own: kept with the run, so that its network is whole without the folders."""

from __future__ import annotations

from lethe._check import LetheError
from lethe.data import DataConfig, class_names
from lethe.engine import RunDirectory

OTHER_FOLDER = "name the folder of the same classes with --data-dir"


def check_classes(directory: RunDirectory, data: DataConfig, remedy: str) -> None:
    """See that the folders hold the classes that the run has learnt, since a class is its place among them.

    Args:
        directory: the run; one that names no classes is not looked at.
        data: the data that are to be read.
        remedy: what to do if they are others.

    Raises:
        LetheError: they are others.
    """
    if (learnt := directory.classes()) is None:
        return
    found = class_names(data) or []
    if learnt == found:
        return
    gone, new = (sorted(set(a) - set(b)) for a, b in ((learnt, found), (found, learnt)))
    what = f"{gone[0]!r} is not there" if gone else f"{new[0]!r} is new" if new else "their order is another"
    raise LetheError(
        f"the classes in {str(data.data_dir)!r} are not the {len(learnt)} that {str(directory.path)!r} has learnt, "
        f"{what}: {remedy}."
    )
