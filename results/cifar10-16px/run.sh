#!/usr/bin/env bash
# Makes this folder's tables and curves: results/cifar10-16px/run.sh DATA_DIR, from the repository's root, with `lethe`
# on the PATH. DATA_DIR holds cifar-10-batches-py. Runs that are finished are kept, runs that were stopped go on.
set -euo pipefail
data=${1:?give the folder that holds cifar-10-batches-py}
here=results/cifar10-16px
cores=$(nproc)
export OMP_NUM_THREADS=1  # one run a core; nproc would count one from here on
mkdir -p runs/cifar10-16px
one() {
  name=$1 seed=$2 data=$3
  out=runs/cifar10-16px/$name-seed$seed
  [ -f "$out/summary.json" ] && return
  if [ -f "$out/checkpoints/last.pt" ]; then
    lethe train --resume "$out"
  else
    rm -rf "$out"
    lethe train --config "results/cifar10-16px/$name.json" --data-dir "$data" --seed "$seed" --out "$out"
  fi
}
export -f one
for seed in 0 1 2; do for name in fomo at fomo-without-forgetting; do echo "$name $seed $data"; done; done |
  xargs -P "$cores" -L 1 bash -c 'one "$@"' _
lethe report runs/cifar10-16px/{at,fomo,fomo-without-forgetting}-seed{0,1,2} --out "$here"
rm "$here/report.html"  # the page repeats the others
