#!/usr/bin/env bash
# In which regime does forgetting pay? results/fomo-small/search.sh DATA_DIR, from the repository's root, with `lethe` on the
# PATH. Settings are compared on validation images, by seeds that no table is made of. Finished runs are kept, stopped ones go on.
set -euo pipefail
data=${1:?give the folder that holds cifar-10-batches-py}
here=results/fomo-small
runs=runs/fomo-small/search
cores=${CORES:-$(nproc)}
. results/train_once.sh
mkdir -p "$runs"
for seed in ${SEEDS:-10 11}; do
  while read -r name options; do
    config=fomo
    [ "$name" = at ] && config=at
    echo "$config $name-seed$seed --seed $seed${options:+ $options}"
  done << END
at
constant-0.995 --decay 0.995 --consistency 3
none-constant-0.995 --decay 0.995 --fraction 0 --consistency 3
none-piecewise --schedule piecewise --fraction 0 --consistency 3
half-each-2 --decay 0.995 --fraction 0.5 --consistency 3
consistency-3 --consistency 3
none-constant-3 --fraction 0 --consistency 3
none-constant --fraction 0
no-consistency --consistency 0
none-none --fraction 0 --consistency 0
5-each-1 --fraction 0.05 --period 1 --consistency 3
30-each-4 --fraction 0.3 --period 4 --consistency 3
consistency-1 --consistency 1
consistency-2
piecewise --schedule piecewise
cosine --schedule cosine
everywhere --later-layers 1
last-quarter --later-layers 0.25
channels --granularity channels
awp --weights awp --awp-gamma 0.02
awp-none --weights awp --awp-gamma 0.02 --fraction 0
END
done | xargs -P "$cores" -L 1 bash -c 'one "$@"' _
python3 - "$runs" > "$here/search.txt" << 'END'
"""Validation accuracy, %, at the best and at the last epoch, of the stable and the working model."""
import json, pathlib, sys
for run in sorted(pathlib.Path(sys.argv[1]).glob("*-seed*")):
    if not (run / "summary.json").is_file():
        continue
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    shown = []
    for prefix, name in (("stable/", "stable"), ("", "working")):
        robust = [line[f"{prefix}validation/robust"] for line in lines if f"{prefix}validation/robust" in line]
        clean = [line[f"{prefix}validation/clean"] for line in lines if f"{prefix}validation/clean" in line]
        shown.append(f"{name} best {100 * max(robust):.1f} last {100 * robust[-1]:.1f} clean {100 * clean[-1]:.1f}")
    print(run.name, *shown, sep=", ")
END
