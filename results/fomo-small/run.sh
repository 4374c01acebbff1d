#!/usr/bin/env bash
# FOMO, its parts and its rivals on CIFAR-10: results/fomo-small/run.sh DATA_DIR, from the repository's root, with `lethe` on
# the PATH. DATA_DIR holds cifar-10-batches-py. Finished runs are kept, stopped ones go on; CORES runs at a time.
# The settings were chosen by search.sh. ROWS="name ..." makes some rows only, SEEDS some seeds, PART=table the table alone.
set -euo pipefail
data=${1:?give the folder that holds cifar-10-batches-py}
here=results/fomo-small
runs=runs/fomo-small/16px
cores=${CORES:-$(nproc)}
. results/train_once.sh
mkdir -p "$runs"
constant="--schedule constant"
rows() {
  cat << END
at at
at at-constant $constant
at-ema at-ema
at-ema at-ema-constant $constant
awp awp
fomo fomo
fomo no-forgetting --fraction 0
fomo no-consistency --consistency 0
fomo keep-momentum --forgotten-state keep
fomo fomo-awp --weights awp --awp-gamma 0.02
END
}
wanted=${ROWS:-$(rows | cut -d' ' -f2)}
seeds=${SEEDS:-0 1 2 3 4}
if [ "${PART:-all}" = all ]; then
  for seed in $seeds; do
    rows | while read -r config name options; do
      [[ " ${wanted//$'\n'/ } " == *" $name "* ]] && echo "$config $name-seed$seed --seed $seed${options:+ $options}"
    done || true
  done | xargs -P "$cores" -L 1 bash -c 'one "$@"' _
fi
listed=()
for name in $wanted; do for seed in $seeds; do listed+=("$runs/$name-seed$seed"); done; done
lethe report "${listed[@]}" --out "$here/16px"
rm "$here/16px/report.html"  # the page repeats the others
