"""Where numbers come from: what a reader needs to make them again."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from lethe.report._runs import Group, measured_alike


def provenance(groups: Sequence[Group]) -> list[str]:
    """A line for each group of runs, as its table calls it: seeds, the first command, commits, machine, versions."""
    lines = []
    for group in chain.from_iterable(measured_alike(groups)):
        first = group.environments[0]
        commits = sorted({str(environment["commit"]) for environment in group.environments})
        versions = ", ".join(f"{name} {version}" for name, version in first["versions"].items())
        machine = f"{first['device']} ({first['machine']}, {first['cores']} cores, {first['threads']} thread(s) a run)"
        seeds = ", ".join(map(str, group.seeds))
        lines.append(
            f"{group.label}: n = {len(group.runs)}, seeds {seeds}; `{first['command']}`; "
            f"commit {', '.join(commits)}; {machine}; {versions}."
        )
    return lines
