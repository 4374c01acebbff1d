"""clean.py RUNS [ROW]: clean accuracy at the best epoch by robust accuracy and at the last, beside ROW's (fomo's)."""

import statistics
import sys
from pathlib import Path

from lethe.engine import RunDirectory
from lethe.report import best_last, paired_difference

found: dict[tuple[str, str], dict[str, tuple[float, float]]] = {}
for path in sorted(p for p in Path(sys.argv[1]).glob("*-seed*") if "-other-images-" not in p.name):
    row, seed = path.name.rsplit("-seed", 1)
    if (run := RunDirectory.open(path)).summary() is None:
        continue
    records = run.records()
    for prefix, model in (("", "working"), ("stable/", "stable")):
        if (robust := best_last(records, "robust", prefix)) is not None:
            by_epoch = {record["epoch"]: record for record in records}
            clean = (by_epoch[epoch][f"{prefix}test/clean"] for epoch in (robust.best_epoch, records[-1]["epoch"]))
            best, last = (100 * value for value in clean)
            found.setdefault((row, model), {})[seed] = (best, last)

name = (sys.argv[2:] or ["fomo"])[0]
ours = found.get((name, "stable"), {})
print("Clean test accuracy, %, at the best epoch by robust validation accuracy and at the last: mean over n seeds; and")
print(f"what {name}'s stable model has more at its last epoch, with the 95 % interval of the paired difference.\n")
print(f"| row | model | at the best | last | {name}, last, minus this, at the best | minus this, last | n |")
print("|---|---|---:|---:|---:|---:|---:|")
for (row, model), seeds in found.items():
    means = [f"{statistics.mean(column):.1f}" for column in zip(*seeds.values(), strict=True)]
    both, cells = [s for s in seeds if s in ours], ["", ""]
    if len(both) > 2:  # of two the interval says nothing
        differences = [paired_difference([ours[s][1] for s in both], [seeds[s][k] for s in both]) for k in (0, 1)]
        cells = [f"{d.mean:+.1f} ({d.low:+.1f} to {d.high:+.1f})" for d in differences]
    print("|", " | ".join([row, model, *means, *cells, str(len(seeds))]), "|")
