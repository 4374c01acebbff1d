#!/usr/bin/env bash
# Makes this folder's tables and curves: results/cifar10-16px-robust/run.sh DATA_DIR, from the repository's root, with
# `lethe` on the PATH. DATA_DIR holds cifar-10-batches-py. Runs that are finished are kept, runs that were stopped go on.
set -euo pipefail
data=${1:?give the folder that holds cifar-10-batches-py}
here=results/cifar10-16px-robust
runs=runs/cifar10-16px-robust
cores=$(nproc)
. results/train_once.sh
mkdir -p "$runs/choose" "$here/choose"
all() { xargs -P "$cores" -L 1 bash -c 'one "$@"' _; }

# The teachers of kd-swa; at is a row of the table as well.
for seed in 0 1 2; do echo "at at-seed$seed --seed $seed"; echo "sgd sgd-seed$seed --seed $seed"; done | all

# How strong to perturb is chosen on validation images, by a seed that is not measured; the values stand in the config files.
{
  for gamma in 0.01 0.02; do echo "rwp choose/rwp-$gamma --seed 10 --rwp-gamma $gamma --eval-every 60"; done
  for gamma in 0.01 0.02 0.04; do echo "awp choose/awp-$gamma --seed 10 --awp-gamma $gamma --eval-every 60"; done
} | all
for run in "$runs"/choose/*; do
  tail -n 1 "$run/metrics.jsonl" | python3 -c '
import json, sys
last = json.load(sys.stdin)
print(sys.argv[1], *(f"{name} {value:.4f}" for name, value in last.items() if name.startswith("validation/")), sep=", ")
' "${run##*/}"
done > "$here/choose/validation.txt"

for seed in 0 1 2; do
  echo "trades trades-seed$seed --seed $seed"
  echo "mart mart-seed$seed --seed $seed"
  echo "kd-swa kd-swa-seed$seed --seed $seed --clean-teacher $runs/sgd-seed$seed --robust-teacher $runs/at-seed$seed"
  echo "awp awp-seed$seed --seed $seed"
  echo "rwp rwp-seed$seed --seed $seed"
done | all

lethe report "$runs"/{at,trades,mart,awp,rwp,kd-swa}-seed{0,1,2} --out "$here"
rm "$here/report.html"  # the page repeats the others

# Do stronger attacks agree? One seed, the epoch that validation images chose, the first 200 test images.
{
  for name in at trades mart awp rwp; do echo "$name best"; done
  echo "kd-swa best-stable"
} | xargs -P "$cores" -L 1 bash -c '
  lethe evaluate "$runs/$0-seed0" --checkpoint "$1" --attacks pgd-20 cw-20 autoattack --images 200 --data-dir "$data"'
for name in at trades mart awp rwp kd-swa; do
  python3 -c '
import json, sys
found = json.load(open(sys.argv[2]))
accuracies = {"clean": found["clean accuracy"], **found["robust accuracy"]}
shown = [f"{name} {100 * value:.1f}" for name, value in accuracies.items() if "after" not in name]
print(sys.argv[1], *shown, "warnings: " + ("; ".join(found["warnings"]) or "none"), sep=", ")
' "$name" "$runs/$name-seed0"/evaluations/best*-test200-*.json
done > "$here/autoattack.txt"
