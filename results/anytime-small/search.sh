#!/usr/bin/env bash
# In which setting is LURE ahead of warm start? results/anytime-small/search.sh DATA_DIR, from the repository's root, with `lethe` on
# the PATH. Under full replay, on another split than the tables' (for the most part other training and test images) and by seeds that no table has. Finished runs are kept, stopped ones go on.
set -euo pipefail
data=${1:?give the folder that holds cifar-10-batches-py}
here=results/anytime-small
runs=runs/anytime-small/search
. "$here/learn.sh"
while read -r name options; do
  for seed in ${SEEDS:-10}; do
    echo "full $name $seed --split-seed 1${options:+ $options}"
  done
done << END | xargs -P "${CORES:-$(nproc)}" -L 1 bash -c 'learn "$@"' _
alma
lure
lure+0.8 --fraction 0.8
lure+0.9 --fraction 0.9
lure+half-each --fraction 0.5 --count per-tensor
random-forgetting+0.8 --fraction 0.8
alma+noise --label-noise 0.3
lure+noise --label-noise 0.3
lure+noise+0.8 --label-noise 0.3 --fraction 0.8
random-forgetting+noise+half --label-noise 0.3 --fraction 0.5
scratch+noise --label-noise 0.3
END
python3 - "$runs/full" > "$here/search.txt" << 'END'
import json, pathlib, sys
print("Cumulative error (misclassified test images, summed over the megabatches), and errors after the last.")
for run in sorted(pathlib.Path(sys.argv[1]).glob("*-seed*")):
    if (run / "summary.json").is_file():
        errors = json.loads((run / "summary.json").read_text())["test/errors"]
        print(run.name, sum(errors), errors[-1], sep=", ")
END
