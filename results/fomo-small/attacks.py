"""attacks.py RUN ...: robust accuracy under PGD-20 and AutoAttack at the best and the last epoch, and FOMO's lead."""

import json
import re
import statistics
import sys
from collections import defaultdict
from pathlib import Path

from lethe.report import paired_difference

ATTACKS = ("PGD-20", "AutoAttack")
CHECKPOINTS = ("best", "last")
Cell = dict[str, float]  # accuracy, %, by seed
found: dict[tuple[str, str], dict[tuple[str, str], Cell]] = defaultdict(lambda: defaultdict(dict))
shown_on = set()
for path in [path for run in sys.argv[1:] for path in sorted(Path(run).glob("evaluations/*.json"))]:
    seen = json.loads(path.read_text())
    about, (row, seed) = seen["about"], re.split(r"-seed(?=\d+$)", path.parent.parent.name)
    checkpoint, _, stable = about["checkpoint"].partition("-")
    for attack in ATTACKS:
        if attack in seen["robust accuracy"]:
            cell = found[row, stable or "working"][attack, checkpoint]
            if seed in cell:
                sys.exit(f"{path}: {attack} of this checkpoint is in another file, too, perhaps of another radius.")
            cell[seed] = 100 * seen["robust accuracy"][attack]
    shown_on.add(f"the first {about['images']} {about['part']} images")


def spread(values: list[float]) -> str:
    """Mean, and standard deviation of several."""
    if not values:
        return "-"
    return f"{statistics.mean(values):.1f}" + (f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else "")


def more(ours: Cell, theirs: Cell) -> str:
    """What the stable model of FOMO has more, with the 95 % interval of the paired difference."""
    both = sorted(ours.keys() & theirs.keys())
    if len(both) < 3 or ours is theirs:  # of two the interval says nothing
        return ""
    found = paired_difference([ours[seed] for seed in both], [theirs[seed] for seed in both])
    return f"{found.mean:+.1f} ({found.low:+.1f} to {found.high:+.1f})"


print(f"Robust accuracy, %, on {' or '.join(sorted(shown_on))}: mean ± standard deviation over n seeds; and what the")
print("stable model of fomo has more at the end, with the 95 % interval of the difference of pairs of the same seed.\n")
print(
    "| row | model |" + "".join(f" {attack}, best | last | gap | n | fomo's, last, minus this |" for attack in ATTACKS)
)
print("|---|---|" + "---:|---:|---:|---:|---:|" * len(ATTACKS))
order = sorted(found.items(), key=lambda item: -statistics.mean(item[1]["PGD-20", "last"].values() or [0.0]))
for (row, model), cells in order:
    line = f"| {row} | {model} |"
    for attack in ATTACKS:
        best, last = (cells[attack, checkpoint] for checkpoint in CHECKPOINTS)
        both = sorted(best.keys() & last.keys())
        gap = [best[seed] - last[seed] for seed in both]
        parts = [best[seed] for seed in both], [last[seed] for seed in both], gap
        line += "".join(f" {spread(part)} |" for part in parts) + f" {len(both)} |"
        line += f" {more(found['fomo', 'stable'][attack, 'last'], last)} |"
    print(line)
