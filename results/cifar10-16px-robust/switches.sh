#!/usr/bin/env bash
# Does a way to compute change what training ends at? results/cifar10-16px-robust/switches.sh DATA_DIR, from the
# repository's root, with `lethe` on the PATH: half as long as run.sh's runs, the default against each switch.
set -euo pipefail
data=${1:?give the folder that holds cifar-10-batches-py}
here=results/cifar10-16px-robust
runs=runs/cifar10-16px-robust/switches
cores=$(nproc)
. results/train_once.sh
mkdir -p "$runs"
for seed in 0 1 2; do
  echo "at default-seed$seed --seed $seed --epochs 30 --eval-every 6"
  echo "at contiguous-seed$seed --seed $seed --epochs 30 --eval-every 6 --no-channels-last"
  echo "at train-mode-seed$seed --seed $seed --epochs 30 --eval-every 6 --attack-mode train"
done | xargs -P "$cores" -L 1 bash -c 'one "$@"' _
lethe report "$runs"/{default,contiguous,train-mode}-seed{0,1,2} --out "$here/switches"
rm "$here"/switches/{report.html,curves.png}
