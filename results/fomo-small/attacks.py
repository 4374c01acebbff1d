"""attacks.py RUN ...: robust accuracy under PGD-20 and AutoAttack at the best and the last epoch, and FOMO's lead."""

import sys
from pathlib import Path

from measured import STRONGER, column, mean, measured, more, spread

found = {
    row: seeds for row, seeds in measured(map(Path, sys.argv[1:])).items() if any(seeds[attack] for attack in STRONGER)
}
print("Robust accuracy, %, on the first 200 test images: mean ± standard deviation over n seeds; and what the")
print("stable model of fomo has more at the end, with the 95 % interval of the difference of pairs of the same seed.\n")
print(
    "| row | model |" + "".join(f" {attack}, best | last | gap | n | fomo's, last, minus this |" for attack in STRONGER)
)
print("|---|---|" + "---:|---:|---:|---:|---:|" * len(STRONGER))
ours = found.get(("fomo", "stable"), {})
for (row, model), seeds in sorted(found.items(), key=lambda it: -mean(it[1]["PGD-20"], 1) if it[1]["PGD-20"] else 0):
    line = f"| {row} | {model} |"
    for attack in STRONGER:
        pairs = seeds[attack]
        columns = column(pairs, 0).values(), column(pairs, 1).values(), [best - last for best, last in pairs.values()]
        line += "".join(f" {spread(values)} |" for values in columns) + f" {len(pairs)} |"
        line += f" {more(column(ours.get(attack, {}), 1), column(pairs, 1))} |"
    print(line)
