"""Keep what finished runs measured in one file of the repository, so that a table can be made again and added to.

python3 results/records.py pack RUNS FILE    what is below RUNS, and the lines of FILE whose runs are not; of runs made
                                             again, to the digit, the evaluations of both
python3 results/records.py unpack FILE RUNS  run directories without checkpoints, where there are none yet
python3 results/records.py compare RUNS FILE whether runs that were made again measured the same, to the digit

A line is one run of ``lethe train``: its config, environment, summary, the metrics of the epochs that were evaluated,
its evaluations, in which what was right of each image is written shorter. To ``lethe report`` an unpacked run is as
good as the whole; what needs weights must train it again.
Where a run's options have changed, remove its line, or the old numbers stay.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

WHOLE = ("config", "environment", "summary")  # files of a run directory that are kept as they are
Record = dict[str, Any]


def pack(runs: Path, file: Path) -> None:
    """Write the finished runs below ``runs``, by name; what ``file`` has of others stays."""
    kept = {record["name"]: record for record in _read(file)}
    for summary in sorted(runs.glob("*/summary.json")):
        record = _of(summary.parent)
        before = kept.get(record["name"])
        if before and _accuracies(record) == _accuracies(before):  # the same weights, made again to be attacked further
            record["evaluations"] = dict(sorted({**before["evaluations"], **record["evaluations"]}.items()))
        kept[record["name"]] = record
    lines = [json.dumps(kept[name], separators=(",", ":"), ensure_ascii=False) + "\n" for name in sorted(kept)]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(lines))
    print(f"{file}: {len(lines)} runs")


def unpack(file: Path, runs: Path) -> None:
    """Make the run directories that ``runs`` does not have."""
    records = [record for record in _read(file) if not (runs / record["name"]).exists()]
    for record in records:
        run = runs / f".{record['name']}"  # whole or not there
        (run / "evaluations").mkdir(parents=True, exist_ok=True)
        (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in record["metrics"]))
        for name, content in record["evaluations"].items():
            (run / "evaluations" / name).write_text(json.dumps(_with_right(content, _bits), indent=2) + "\n")
        for name in WHOLE:
            (run / f"{name}.json").write_text(json.dumps(record[name], indent=2) + "\n")
        run.rename(runs / record["name"])
    if records:
        print(f"{runs}: {len(records)} runs from {file}")


def compare(runs: Path, file: Path) -> None:
    """Say which finished runs below ``runs`` have other accuracies than ``file`` at any evaluated epoch."""
    kept = {record["name"]: record for record in _read(file)}
    again = [_of(summary.parent) for summary in sorted(runs.glob("*/summary.json"))]
    others = [made["name"] for made in again if _accuracies(made) != _accuracies(kept.get(made["name"], {}))]
    print(f"{runs}: {len(again) - len(others)} of {len(again)} runs are those of {file}", *others, sep="\n")


def _accuracies(record: Record) -> list[Record]:
    keys = ("validation/", "test/")
    return [{key: m[key] for key in m if any(part in key for part in keys)} for m in record.get("metrics", [])]


def _of(run: Path) -> Record:
    metrics = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    evaluated = [line for line in metrics if any("validation/" in key or "test/" in key for key in line)]
    paths = sorted((run / "evaluations").glob("*.json"))
    evaluations = {path.name: _with_right(json.loads(path.read_text()), _short) for path in paths}
    whole = {name: json.loads((run / f"{name}.json").read_text()) for name in WHOLE}
    return {"name": run.name, **whole, "metrics": evaluated, "evaluations": evaluations}


def _with_right(content: Record, written: Callable[[str], str]) -> Record:
    """An evaluation whose verdicts on each image, attack by attack, are written otherwise."""
    if "right" not in content:
        return content
    return content | {"right": {attack: written(verdicts) for attack, verdicts in content["right"].items()}}


def _short(bits: str) -> str:
    """A row of bits, which was more than a quarter of a study's file, as its length and a hexadecimal number."""
    return f"{len(bits)}:{int(bits, 2):x}"


def _bits(short: str) -> str:
    length, _, number = short.partition(":")
    return f"{int(number, 16):0{length}b}"


def _read(file: Path) -> list[Record]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []


if __name__ == "__main__":
    verb, source, target = sys.argv[1:]
    {"pack": pack, "unpack": unpack, "compare": compare}[verb](Path(source), Path(target))
