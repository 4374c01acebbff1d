"""validation.py RUNS ROW ...: what rows reach at the last epoch on validation images, by which settings are chosen."""

import statistics
import sys
from pathlib import Path

from lethe.engine import RunDirectory

print("Accuracy on validation images at the last epoch, %: mean over n seeds.\n")
print("| row | model | robust | clean | n |")
print("|---|---|---:|---:|---:|")
for row in sys.argv[2:]:
    runs = [RunDirectory.open(path) for path in sorted(Path(sys.argv[1]).glob(f"{row}-seed*"))]
    lasts = [run.records()[-1] for run in runs if run.summary() is not None]
    for prefix, model in (("", "working"), ("stable/", "stable")):
        if lasts:
            cells = [
                statistics.mean(100 * last[f"{prefix}validation/{of}"] for last in lasts) for of in ("robust", "clean")
            ]
            print(f"| {row} | {model} | {cells[0]:.1f} | {cells[1]:.1f} | {len(lasts)} |")
