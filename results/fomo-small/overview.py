"""overview.py TABLE RUNS: each row under every attack in one table, best → last, beside what FOMO has more at the end.

TABLE is main; or parts, which is of the first three seeds alone; or working, the same of the working models, in which
no average hides what training did. RUNS is the folder of a protocol's runs. PGD-10 and clean accuracy are what training
measured on all test images; PGD-20 and AutoAttack are ``lethe evaluate``'s, of fewer.
FOMO's last epoch is compared with each row's last one, and with its best: what early stopping would have kept.
"""

import sys
from pathlib import Path

from measured import FEWER, Seeds, column, mean, measured, more

# Of each table, in its order: the runs' name, which of their models, what it is called.
MAIN = [
    ("fomo", "stable", "**FOMO**"),
    ("fomo", "working", "FOMO, its working model"),
    ("at-ema", "working", "AT (its best: early stopping)"),
    ("at-ema", "stable", "AT, averaged (EMA)"),
    ("at-ema-each-2", "working", "AT, evaluated each two epochs"),
    ("at-ema-each-2", "stable", "AT, averaged, evaluated each two epochs"),
    ("at-swa", "stable", "AT, averaged evenly (SWA)"),
    ("kd-swa", "stable", "AT, distilled and averaged (KD-SWA)"),
    ("awp-ema", "working", "AWP"),
    ("awp-ema", "stable", "AWP, averaged"),
    ("awp-ema-0.01", "working", "AWP, gamma 0.01"),
    ("awp-ema-0.01", "stable", "AWP, averaged, gamma 0.01"),
    ("no-forgetting", "stable", "nothing forgotten, average of 1,000 steps"),
    ("no-forgetting-alike", "stable", "nothing forgotten, FOMO's own average"),
    ("at-ema-constant", "working", "AT at FOMO's constant rate"),
    ("at-ema-constant", "stable", "AT, averaged, at FOMO's constant rate"),
    ("later-half", "stable", "FOMO, the later half of the layers"),
    ("everywhere", "stable", "FOMO, all layers"),
    ("everywhere-longer", "stable", "FOMO, all layers, an average of fifteen phases"),
    ("measured-statistics", "stable", "FOMO, batch statistics measured"),
    ("averaged-statistics", "stable", "FOMO, batch statistics averaged"),
]
PARTS = [
    ("fomo", "stable", "**FOMO**"),
    ("awp", "stable", "with AWP"),
    ("awp-no-forgetting", "stable", "with AWP, nothing forgotten"),
    ("fraction-0.4", "stable", "40 % forgotten"),
    ("fraction-0.05", "stable", "5 % forgotten"),
    ("no-forgetting-alike", "stable", "nothing forgotten"),
    ("period-2", "stable", "each two epochs, the average of as many epochs"),
    ("period-8", "stable", "each eight epochs, the same"),
    ("start-0.4", "stable", "from 40 % of the epochs on"),
    ("auto-start", "stable", "from when overfitting is seen (`--auto-start`)"),
    ("later-half", "stable", "the later half of the layers"),
    ("everywhere", "stable", "all layers"),
    ("average-2", "stable", "an average of two phases"),
    ("average-15", "stable", "an average of fifteen phases"),
    ("average-stochastic", "stable", "average at random steps"),
    ("average-phase", "stable", "average once a phase"),
    ("no-consistency", "stable", "no consistency loss"),
    ("no-consistency", "working", "neither consistency loss nor average"),
    ("keep-momentum", "stable", "momentum of what is forgotten kept"),
    ("magnitude", "stable", "the smallest forgotten"),
    ("snip", "stable", "the least of SNIP forgotten"),
    ("paper", "stable", "the paper's constants, as remembered, and a falling rate"),
]
WORKING = [(row, "working", title) for row, model, title in PARTS if model == "stable"]
# Rows, of which seeds, and which of their epochs FOMO's end is compared with: their last (1), their best (0).
TABLES = {
    "main": (MAIN, "*", (1, 0)),
    "parts": (PARTS, "[0-2]", (1,)),
    "working": (WORKING, "[0-2]", (1,)),
}
ATTACKS = {"PGD-10": "robust", "PGD-20": "PGD-20", "AutoAttack": "AutoAttack"}  # as they are called here and there


def arrow(seeds: Seeds) -> str:
    """Means at the best and the last epoch."""
    return f"{mean(seeds, 0):.1f} → {mean(seeds, 1):.1f}" if seeds else "-"


def end(seeds: Seeds) -> str:
    """Mean at the last epoch."""
    return f"{mean(seeds, 1):.1f}" if seeds else "-"


def main() -> None:
    """Print the table."""
    runs = Path(sys.argv[2])
    rows, seeds, epochs = TABLES[sys.argv[1]]
    against, compared = ("PGD-10", "AutoAttack"), {1: "FOMO's end minus this end", 0: "minus this best"}
    everything = measured(runs.glob(f"*-seed{seeds}"))
    ours = everything[rows[0][:2]]
    if rows is WORKING:
        print("The working models, FOMO's as well.\n")
    print("Accuracy, %, means over n seeds, from the best epoch (chosen on validation images) to the last; and what")
    print("FOMO has more at its end, with the 95 % interval of the difference of pairs of the same seed. PGD-10 and")
    print("clean: 1,000 test images; PGD-20 and AutoAttack: the first 200 of them (FOMO's clean accuracy at")
    print(f"its end: {end(ours['clean'])} on all, {end(ours[FEWER])} on these).\n")
    header = ["", *ATTACKS, "clean, last"]
    for epoch in epochs:
        header += [f"{compared[epoch]}: {against[0]}", against[1]]
    header.append("n")
    print("| " + " | ".join(header) + " |")
    print("|---|" + "---:|" * (len(header) - 1))
    for row, model, title in rows:
        if (found := everything.get((row, model))) is None:
            continue
        known = [found[attack] for attack in ATTACKS.values()]
        cells = [*(arrow(pairs) for pairs in known), end(found["clean"])]
        for epoch in epochs:
            for attack in against:
                cells.append(more(column(ours[ATTACKS[attack]], 1), column(found[ATTACKS[attack]], epoch)))
        counts = [len(pairs) for pairs in known]
        cells.append(str(counts[0]) if len(set(counts)) == 1 else ", ".join(map(str, counts)))
        print("| " + " | ".join([title, *cells]) + " |")


if __name__ == "__main__":
    main()
