"""What a study's finished runs measured, by row, model and seed, for the scripts that make its tables."""

import json
import statistics
import sys
from collections.abc import Iterable
from pathlib import Path

from lethe.engine import RunDirectory
from lethe.report import best_last, paired_difference

# Training measures "clean" and "robust" (PGD-10) on all test images, ``lethe evaluate`` these on the first 200.
STRONGER = ("PGD-20", "AutoAttack")
FEWER = "clean, of 200"
Pair = tuple[float, float]  # accuracy, %, at the best epoch, chosen on validation images under PGD-10, and at the last
Seeds = dict[str, Pair]  # by seed
Row = tuple[str, str]  # a row's name, and its model: working or stable


def measured(runs: Iterable[Path], ending: str = "-seed") -> dict[Row, dict[str, Seeds]]:
    """Of each row, by what was measured; a run's name is its row, ``ending`` and its seed, other runs are left out."""
    found: dict[Row, dict[str, Seeds]] = {}
    for path in sorted(runs):
        row, _, seed = path.name.rpartition(ending)
        if not row or not seed.isdigit() or not (path / "summary.json").is_file():
            continue
        records = RunDirectory.open(path).records()
        for model, prefix, checkpoints in (
            ("working", "", ("best", "last")),
            ("stable", "stable/", ("best-stable", "last-stable")),
        ):
            if (robust := best_last(records, "robust", prefix)) is None:
                continue
            of = found.setdefault((row, model), {name: {} for name in ("clean", "robust", FEWER, *STRONGER)})
            key = f"{prefix}test/clean"
            clean = {record["epoch"]: 100 * record[key] for record in records if key in record}  # of evaluated epochs
            of["clean"][seed] = clean[robust.best_epoch], clean[max(clean)]
            of["robust"][seed] = 100 * robust.best, 100 * robust.last
            best, last = (_evaluated(path, checkpoint) for checkpoint in checkpoints)
            for attack in (FEWER, *STRONGER):
                if attack in best and attack in last:
                    of[attack][seed] = 100 * best[attack], 100 * last[attack]
    return found


def _evaluated(run: Path, checkpoint: str) -> dict[str, float]:
    """Robust accuracy of a checkpoint by attack, as ``lethe evaluate`` wrote it."""
    accuracies: dict[str, float] = {}
    for path in sorted(run.glob(f"evaluations/{checkpoint}-test200-*.json")):
        content = json.loads(path.read_text())
        found = content["robust accuracy"]
        if twice := sorted(found.keys() & accuracies.keys()):
            sys.exit(f"{path}: {twice[0]} of this checkpoint is in another file, too, perhaps of another radius.")
        accuracies |= found | {FEWER: content["clean accuracy"]}
    return accuracies


def column(seeds: Seeds, epoch: int) -> dict[str, float]:
    """By seed, at the best epoch (0) or the last one (1)."""
    return {seed: pair[epoch] for seed, pair in seeds.items()}


def mean(seeds: Seeds, epoch: int) -> float:
    """Over seeds, at the best epoch (0) or the last one (1)."""
    return statistics.mean(column(seeds, epoch).values())


def spread(values: Iterable[float]) -> str:
    """Mean, and standard deviation of several."""
    known = list(values)
    if not known:
        return "-"
    return f"{statistics.mean(known):.1f}" + (f" ± {statistics.stdev(known):.1f}" if len(known) > 1 else "")


def more(ours: dict[str, float], theirs: dict[str, float]) -> str:
    """What the one has more, and the 95 % interval of the difference of pairs of a seed; of two it says nothing."""
    both = sorted(ours.keys() & theirs.keys())
    if ours == theirs or len(both) < 3:
        return ""
    d = paired_difference([ours[seed] for seed in both], [theirs[seed] for seed in both])
    return f"{d.mean:+.1f} ({d.low:+.1f} to {d.high:+.1f})"
