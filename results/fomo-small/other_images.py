"""other_images.py RUNS: the rows whose seeds have images of their own, and what FOMO has more at the end."""

import sys
from pathlib import Path

from measured import column, measured, more, spread

found = measured(Path(sys.argv[1]).glob("*"), "-other-images-seed")
print("Accuracy, %, mean ± standard deviation over n seeds, each with training, validation and test images of its own")
print("(split seeds 10, 11, 12); and what FOMO's stable model has more at the end, with the 95 % interval.\n")
print("| row | model | robust, best | last | gap | clean, last | FOMO's, more robust | more clean | n |")
print("|---|---|---:|---:|---:|---:|---:|---:|---:|")
ours = found.get(("fomo", "stable"), {})
for (row, model), seeds in found.items():
    robust, clean = seeds["robust"], seeds["clean"]
    columns = column(robust, 0).values(), column(robust, 1).values(), [best - last for best, last in robust.values()]
    cells = [spread(values) for values in (*columns, column(clean, 1).values())]
    cells += [more(column(ours.get(of, {}), 1), column(seeds[of], 1)) for of in ("robust", "clean")]
    print("|", " | ".join([row, model, *cells, str(len(robust))]), "|")
