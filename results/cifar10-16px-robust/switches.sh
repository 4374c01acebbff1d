#!/usr/bin/env bash
# Does a way to compute change what training ends at? results/cifar10-16px-robust/switches.sh DATA_DIR, from the
# repository's root, with `lethe` on the PATH: half as long as run.sh's runs, the default against each switch.
set -euo pipefail
data=${1:?give the folder that holds cifar-10-batches-py}
here=results/cifar10-16px-robust
runs=runs/cifar10-16px-robust/switches
cores=$(nproc)
export here runs data OMP_NUM_THREADS=1
mkdir -p "$runs"
one() {
  out=$runs/$1
  shift
  [ -f "$out/summary.json" ] && return
  if [ -f "$out/checkpoints/last.pt" ]; then
    lethe train --resume "$out"
  else
    rm -rf "$out"
    lethe train --config "$here/at.json" --data-dir "$data" --out "$out" --epochs 30 --eval-every 6 "$@"
  fi
}
export -f one
for seed in 0 1 2; do
  echo "default-seed$seed --seed $seed"
  echo "contiguous-seed$seed --seed $seed --no-channels-last"
  echo "train-mode-seed$seed --seed $seed --attack-mode train"
done | xargs -P "$cores" -L 1 bash -c 'one "$@"' _
lethe report "$runs"/{default,contiguous,train-mode}-seed{0,1,2} --out "$here/switches"
rm "$here"/switches/{report.html,curves.png}
