#!/usr/bin/env bash
# Makes this folder's tables and curves: results/cifar10-16px-perturbed/run.sh DATA_DIR, from the repository's root, with
# `lethe` on the PATH. DATA_DIR holds cifar-10-batches-py. Runs that are finished are kept, runs that were stopped go on.
set -euo pipefail
data=${1:?give the folder that holds cifar-10-batches-py}
here=results/cifar10-16px-perturbed
runs=runs/cifar10-16px-perturbed
cores=$(nproc)
. results/train_once.sh
mkdir -p "$runs"/{choose,augmented} "$here/choose"

# How strong to perturb is chosen on validation images, by a seed that is not measured.
{
  echo "sgd choose/sgd --seed 10"
  for epsilon in 0.05 0.1 0.2; do echo "amp choose/amp-$epsilon --seed 10 --epsilon $epsilon"; done
  echo "amp choose/amp-0.05-inner10 --seed 10 --epsilon 0.05 --inner-lr 10"
  for rho in 0.05 0.1 0.2 0.4 0.8; do echo "sam choose/sam-$rho --seed 10 --rho $rho"; done
  for gamma in 0.01 0.02 0.04; do echo "awp choose/awp-$gamma --seed 10 --awp-gamma $gamma"; done
  # The same with crops and flips, which keep this network from fitting its training set.
  echo "sgd augmented/sgd --seed 10 --augment crop-flip"
  for rho in 0.05 0.1; do echo "sam augmented/sam-$rho --seed 10 --rho $rho --augment crop-flip"; done
  for epsilon in 0.1 0.5; do echo "amp augmented/amp-$epsilon --seed 10 --epsilon $epsilon --augment crop-flip"; done
  # The values so chosen stand in the config files.
  for seed in 0 1 2 3 4; do
    for name in amp sam awp at sgd; do echo "$name $name-seed$seed --seed $seed"; done
  done
} | xargs -P "$cores" -L 1 bash -c 'one "$@"' _

# What was chosen by: the last epoch's accuracy on validation images.
for run in "$runs"/choose/*; do
  tail -n 1 "$run/metrics.jsonl" | python3 -c '
import json, sys
last = json.load(sys.stdin)
print(sys.argv[1], *(f"{name} {value:.4f}" for name, value in last.items() if name.startswith("validation/")), sep=", ")
' "${run##*/}"
done > "$here/choose/validation.txt"

for part in choose augmented; do lethe report "$runs/$part"/* --out "$here/$part"; done
lethe report "$runs"/{sgd,amp,sam,at,awp}-seed{0,1,2,3,4} --out "$here"
rm "$here"/{,choose/,augmented/}report.html "$here"/{choose,augmented}/curves.png  # the page repeats the others
