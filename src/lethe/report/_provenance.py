"""Where numbers come from: what a reader needs to make them again."""

from __future__ import annotations

from collections.abc import Sequence

from lethe.report._runs import Group


def provenance(groups: Sequence[Group]) -> list[str]:
    """A line for each group of runs: seeds, the command of the first run, commits, machine and versions."""
    lines = []
    for group in groups:
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
