#!/usr/bin/env bash
# Learners on CIFAR-10 in eight megabatches: results/anytime-small/run.sh DATA_DIR, from the repository's root, with `lethe` on
# the PATH. DATA_DIR holds cifar-10-batches-py. Finished runs are kept, stopped ones go on; CORES runs at a time.
# REPLAYS, LEARNERS, SEEDS and PARTS (train table list) each choose some of it.
set -euo pipefail
data=${1:?give the folder that holds cifar-10-batches-py}
here=results/anytime-small
runs=runs/anytime-small
cores=${CORES:-$(nproc)}
export here runs data OMP_NUM_THREADS=1
mkdir -p "$runs"

# The protocol: 8 megabatches of 1,000 images at 16x16, 900 to train on and 100 to choose on; 2,000 test images.
export protocol="--dataset cifar10 --image-size 16 --train-size 8000 --test-size 2000 --megabatches 8 --width 16
  --epochs 10 --batch-size 64 --lr 0.05 --precision bf16"

learn() {  # learn REPLAY LEARNER SEED [OPTION ...]
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

# NAME [OPTION ...]; what stands behind a + tells variants of a learner apart.
learners() {
  cat << END
alma
lure
random-forgetting
scratch
shrink-perturb
llf
rifle
lure+half --fraction 0.5
random-forgetting+half --fraction 0.5
alma+carried --optimizer-state carried
lure+official --official
alma+sam --optimizer-rule sam
lure+sam --optimizer-rule sam
END
}
wanted=${LEARNERS:-$(learners | cut -d' ' -f1)}
for replay in ${REPLAYS:-full none 1000}; do
  listed=()
  jobs=""
  while read -r name options; do
    [[ " ${wanted//$'\n'/ } " == *" $name "* ]] || continue
    for seed in ${SEEDS:-0 1 2}; do
      jobs+="$replay $name $seed $options"$'\n'
      listed+=("$runs/$replay/$name-seed$seed")
    done
  done < <(learners)
  parts=${PARTS:-train table}
  if [[ $parts == *train* ]]; then
    sed 's/ *$//; /^$/d' <<< "$jobs" | xargs -P "$cores" -L 1 bash -c 'learn "$@"' _
  fi
  if [[ $parts == *table* ]]; then
    lethe report "${listed[@]}" --out "$here/replay-$replay"
    rm "$here/replay-$replay/report.html"  # the page repeats the others
  fi
  if [[ $parts == *list* ]]; then  # errors of all runs there are, to choose by
    python3 - "$runs/$replay" << 'END'
import json, pathlib, sys
print("Cumulative error (misclassified test images, summed over the megabatches), and errors after the last.")
for run in sorted(pathlib.Path(sys.argv[1]).glob("*-seed*")):
    if (run / "summary.json").is_file():
        errors = json.loads((run / "summary.json").read_text())["test/errors"]
        print(run.name, sum(errors), errors[-1], sep=", ")
END
  fi
done
