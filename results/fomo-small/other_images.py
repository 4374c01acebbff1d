"""other_images.py RUNS: the rows whose seeds have images of their own, and what FOMO has more at the end."""

import statistics
import sys
from pathlib import Path

from lethe.engine import RunDirectory
from lethe.report import best_last, paired_difference

ENDING = "-other-images"
Seed = tuple[float, float, float, float]
found: dict[tuple[str, str], dict[str, Seed]] = {}  # robust accuracy: best, last, gap; clean accuracy: last; in %
for path in sorted(Path(sys.argv[1]).glob(f"*{ENDING}-seed*")):
    row, seed = path.name.split(f"{ENDING}-seed")
    if (run := RunDirectory.open(path)).summary() is None:
        continue
    records = run.records()
    for prefix, model in (("", "working"), ("stable/", "stable")):
        if (robust := best_last(records, "robust", prefix)) is not None:
            best, last = 100 * robust.best, 100 * robust.last
            found.setdefault((row, model), {})[seed] = best, last, best - last, 100 * records[-1][f"{prefix}test/clean"]

print("Accuracy, %, mean ± standard deviation over n seeds, each with training, validation and test images of its own")
print("(split seeds 10, 11, 12); and what FOMO's stable model has more at the end, with the 95 % interval.\n")
print("| row | model | robust, best | last | gap | clean, last | FOMO's, more robust | more clean | n |")
print("|---|---|---:|---:|---:|---:|---:|---:|---:|")
ours = found.get(("fomo", "stable"), {})
for (row, model), seeds in found.items():
    columns = zip(*seeds.values(), strict=True)
    cells = [f"{statistics.mean(c):.1f}" + (f" ± {statistics.stdev(c):.1f}" if len(c) > 1 else "") for c in columns]
    both = sorted(seeds.keys() & ours.keys())
    for k in (1, 3):
        if seeds is ours or len(both) < 3:  # of two the interval says nothing
            cells.append("")
            continue
        d = paired_difference([ours[s][k] for s in both], [seeds[s][k] for s in both])
        cells.append(f"{d.mean:+.1f} ({d.low:+.1f} to {d.high:+.1f})")
    print("|", " | ".join([row, model, *cells, str(len(seeds))]), "|")
