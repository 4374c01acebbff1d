#!/usr/bin/env bash
# Does bf16 change what training ends at? results/cifar10-16px-robust/precision.sh DATA_DIR, from the repository's root, with
# `lethe` on the PATH, on a machine whose CPU has bf16 instructions (elsewhere a step takes minutes). Five seeds of fp32
# against five of bf16, half as long as run.sh's runs. Runs that are finished are kept, runs that were stopped go on.
set -euo pipefail
data=${1:?give the folder that holds cifar-10-batches-py}
here=results/cifar10-16px-robust
runs=runs/cifar10-16px-robust/precision
cores=${CORES:-$(nproc)}
. results/train_once.sh
mkdir -p "$runs"
for seed in 0 1 2 3 4; do
  for precision in fp32 bf16; do echo "at $precision-seed$seed --epochs 30 --eval-every 6 --seed $seed --precision $precision"; done
done | xargs -P "$cores" -L 1 bash -c 'one "$@"' _
lethe report "$runs"/{fp32,bf16}-seed{0,1,2,3,4} --out "$here/precision"
rm "$here"/precision/{report.html,curves.png}
