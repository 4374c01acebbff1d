"""Where numbers come from: what a reader needs to make them again."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from lethe.report._labels import labels_of
from lethe.report._runs import Group, measured_alike


def provenance(groups: Sequence[Group]) -> list[str]:
    """A line for each group of runs, as its table calls it: seeds, the first command, commits, machine, versions.

    Of a group that is called by its folder also the options in which it differs from the others.
    """
    lines = []
    tables = measured_alike(groups)
    told = (labels_of([group.options for group in alike]) for alike in tables)
    for group, differing in zip(chain.from_iterable(tables), chain.from_iterable(told), strict=True):
        name = f"{group.name} ({differing})" if group.name not in ("", differing) else group.label
        first = group.environments[0]
        commits = sorted({str(environment["commit"]) for environment in group.environments})
        versions = ", ".join(f"{name} {version}" for name, version in first["versions"].items())
        machine = f"{first['device']} ({first['machine']}, {first['cores']} cores, {first['threads']} thread(s) a run)"
        seeds = ", ".join(map(str, group.seeds))
        lines.append(
            f"{name}: n = {len(group.runs)}, seeds {seeds}; `{first['command']}`; "
            f"commit {', '.join(commits)}; {machine}; {versions}."
        )
    return lines
