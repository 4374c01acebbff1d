# Sourced by this study's scripts, which set data and runs, from the repository's root. `learn REPLAY NAME SEED [OPTION ...]` makes
# the run $runs/REPLAY/NAME-seedSEED: not again if it is finished, on from its last checkpoint if it was stopped. NAME is the
# recipe; what stands behind a + tells its variants apart.
# The protocol: 8 megabatches of 1,000 images at 16x16, 900 to train on and 100 to choose on; 2,000 test images.
export protocol="--dataset cifar10 --image-size 16 --train-size 8000 --test-size 2000 --megabatches 8 --width 16
  --epochs 10 --batch-size 64 --lr 0.05 --precision bf16"
export runs data OMP_NUM_THREADS=1
learn() {
  replay=$1 name=$2 seed=$3 out=$runs/$1/$2-seed$3
  shift 3
  recipe=${name%%+*}
  [ -f "$out/summary.json" ] && return
  if [ -f "$out/checkpoints/last.pt" ]; then
    lethe anytime --resume "$out"
  else
    rm -rf "$out"
    # shellcheck disable=SC2086 # options are words
    lethe anytime "$recipe" $protocol --data-dir "$data" --replay "$replay" --seed "$seed" --out "$out" "$@"
  fi
}
export -f learn
