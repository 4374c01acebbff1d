"""overview.py TABLE RUNS: each row under every attack in one table, best → last, beside what FOMO has more at the end.

TABLE is main, or parts, which is of the first three seeds alone; RUNS the folder of a protocol's runs. PGD-10 and clean
accuracy are what training measured on all test images; PGD-20 and AutoAttack are ``lethe evaluate``'s, of fewer.
FOMO's last epoch is compared with each row's last one, and with its best: what early stopping would have kept.
"""

import json
import statistics
import sys
from pathlib import Path

from lethe.engine import RunDirectory
from lethe.report import best_last, paired_difference

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
ATTACKS = ("PGD-10", "PGD-20", "AutoAttack")
Seeds = dict[str, tuple[float, float]]  # accuracy at the best and the last epoch, %, by seed


def measured(runs: Path, row: str, model: str, seeds: str) -> dict[str, Seeds]:
    """What is known of one row, by attack, and clean; of the seeds that a pattern of file names tells."""
    found: dict[str, Seeds] = {attack: {} for attack in ("clean", *ATTACKS)}
    prefix, ending = ("stable/", "-stable") if model == "stable" else ("", "")
    for path in sorted(runs.glob(f"{row}-seed{seeds}")):
        run, seed = RunDirectory.open(path), path.name.rsplit("-seed", 1)[1]
        if run.summary() is None:
            continue
        records = run.records()
        if (robust := best_last(records, "robust", prefix)) is None:
            continue
        found["PGD-10"][seed] = 100 * robust.best, 100 * robust.last
        by_epoch = {record["epoch"]: 100 * record.get(f"{prefix}test/clean", 0.0) for record in records}
        found["clean"][seed] = by_epoch[robust.best_epoch], by_epoch[records[-1]["epoch"]]
        stronger = [evaluated(path, checkpoint + ending) for checkpoint in ("best", "last")]
        for attack in ATTACKS[1:]:
            if all(attack in accuracies for accuracies in stronger):
                best, last = (100 * accuracies[attack] for accuracies in stronger)
                found[attack][seed] = best, last
    return found


def evaluated(run: Path, checkpoint: str) -> dict[str, float]:
    """Robust accuracy of a checkpoint by attack, as ``lethe evaluate`` wrote it."""
    accuracies: dict[str, float] = {}
    for path in sorted(run.glob(f"evaluations/{checkpoint}-test200-*.json")):
        found = json.loads(path.read_text())["robust accuracy"]
        if twice := sorted(found.keys() & accuracies.keys()):
            sys.exit(f"{path}: {twice[0]} of this checkpoint is in another file, too, perhaps of another radius.")
        accuracies |= found
    return accuracies


def arrow(seeds: Seeds) -> str:
    """Means at the best and the last epoch."""
    if not seeds:
        return "-"
    best, last = (statistics.mean(column) for column in zip(*seeds.values(), strict=True))
    return f"{best:.1f} → {last:.1f}"


def more(ours: Seeds, theirs: Seeds, epoch: int) -> str:
    """What FOMO has more at its end than a row at its best (epoch 0) or its last (1), and its 95 % paired interval."""
    both = sorted(ours.keys() & theirs.keys())
    if ours is theirs or len(both) < 3:  # of two the interval says nothing
        return ""
    d = paired_difference([ours[seed][1] for seed in both], [theirs[seed][epoch] for seed in both])
    return f"{d.mean:+.1f} ({d.low:+.1f} to {d.high:+.1f})"


def main() -> None:
    """Print the table."""
    runs = Path(sys.argv[2])
    # Which rows, of which seeds, and which of their epochs FOMO's end is compared with: their last (1), their best (0).
    rows, seeds, epochs = {"main": (MAIN, "*", (1, 0)), "parts": (PARTS, "[0-2]", (1,))}[sys.argv[1]]
    against, compared = ("PGD-10", "AutoAttack"), {1: "FOMO's end minus this end", 0: "minus this best"}
    print("Accuracy, %, means over n seeds, from the best epoch (chosen on validation images) to the last; and what")
    print("FOMO has more at its end, with the 95 % interval of the difference of pairs of the same seed. PGD-10 and")
    print("clean: 1,000 test images; PGD-20 and AutoAttack: the first 200 of them, which are easier.\n")
    header = ["", *ATTACKS, "clean, last"]
    for epoch in epochs:
        header += [f"{compared[epoch]}: {against[0]}", against[1]]
    header.append("n")
    print("| " + " | ".join(header) + " |")
    print("|---|" + "---:|" * (len(header) - 1))
    everything = {(row, model): measured(runs, row, model, seeds) for row, model, _ in rows}
    ours = everything["fomo", "stable"]
    for row, model, title in rows:
        found = everything[row, model]
        if not found["PGD-10"]:
            continue
        clean = statistics.mean(last for _, last in found["clean"].values())
        cells = [*(arrow(found[attack]) for attack in ATTACKS), f"{clean:.1f}"]
        cells += [more(ours[attack], found[attack], epoch) for epoch in epochs for attack in against]
        counts = [len(found[attack]) for attack in ATTACKS]
        cells.append(str(counts[0]) if len(set(counts)) == 1 else ", ".join(map(str, counts)))
        print("| " + " | ".join([title, *cells]) + " |")


if __name__ == "__main__":
    main()
