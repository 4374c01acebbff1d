"""attacks.py RUNS: robust accuracy under PGD-20 and AutoAttack at the best and the last epoch, over seeds."""

import json
import re
import statistics
import sys
from collections import defaultdict
from pathlib import Path

ATTACKS = ("pgd-20", "autoattack")
found: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
images = set()
for path in sorted(Path(sys.argv[1]).glob("*-seed*/evaluations/*.json")):
    seen = json.loads(path.read_text())
    if not all(attack in seen["robust accuracy"] for attack in ATTACKS):
        continue
    row = re.sub(r"-seed\d+$", "", path.parent.parent.name)
    checkpoint, _, stable = seen["checkpoint"].partition("-")
    cells = found[row, stable or "working"]
    for attack in ATTACKS:
        cells[f"{attack} {checkpoint}"].append(100 * seen["robust accuracy"][attack])
    cells[f"clean {checkpoint}"].append(100 * seen["clean accuracy"])
    images.add((seen["images"], seen["part"]))

for count, part in sorted(images):
    print(f"Accuracy, %, on the first {count} {part} images, mean ± standard deviation over seeds.\n")
print("| row | model | PGD-20 best | last | gap | AutoAttack best | last | gap | clean, last | n |")
print("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|")
for (row, model), cells in sorted(found.items(), key=lambda item: -statistics.mean(item[1]["autoattack last"])):
    shown = []
    for attack in ATTACKS:
        best, last = cells[f"{attack} best"], cells[f"{attack} last"]
        shown += [best, last, [b - e for b, e in zip(best, last, strict=True)]]
    shown.append(cells["clean last"])
    n = len(shown[0])
    spread = [f"{statistics.mean(x):.1f} ± {statistics.stdev(x) if n > 1 else 0:.1f}" for x in shown]
    print(f"| {row} | {model} |", " | ".join(spread), f"| {n} |")
