"""clean.py RUNS [ROW]: clean accuracy at the best epoch by robust accuracy and at the last, beside ROW's (fomo's)."""

import sys
from pathlib import Path

from measured import column, mean, measured, more

found = measured(path for path in Path(sys.argv[1]).glob("*-seed*") if "-other-images-" not in path.name)
name = (sys.argv[2:] or ["fomo"])[0]
ours = column(found[name, "stable"]["clean"], 1) if (name, "stable") in found else {}
print("Clean test accuracy, %, at the best epoch by robust validation accuracy and at the last: mean over n seeds; and")
print(f"what {name}'s stable model has more at its last epoch, with the 95 % interval of the paired difference.\n")
print(f"| row | model | at the best | last | {name}, last, minus this, at the best | minus this, last | n |")
print("|---|---|---:|---:|---:|---:|---:|")
for (row, model), measurements in found.items():
    seeds = measurements["clean"]
    cells = [f"{mean(seeds, epoch):.1f}" for epoch in (0, 1)] + [more(ours, column(seeds, epoch)) for epoch in (0, 1)]
    print("|", " | ".join([row, model, *cells, str(len(seeds))]), "|")
