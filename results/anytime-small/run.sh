#!/usr/bin/env bash
# Learners on CIFAR-10 in eight megabatches: results/anytime-small/run.sh DATA_DIR, from the repository's root, with `lethe` on
# the PATH. DATA_DIR holds cifar-10-batches-py. Finished runs are kept, stopped ones go on; CORES runs at a time.
# REPLAYS, LEARNERS, SEEDS and PARTS (train table) each choose some of it.
set -euo pipefail
data=${1:?give the folder that holds cifar-10-batches-py}
here=results/anytime-small
runs=runs/anytime-small
cores=${CORES:-$(nproc)}
. "$here/learn.sh"

# NAME [OPTION ...]
learners() {
  cat << END
alma
lure
random-forgetting
scratch
shrink-perturb
llf
rifle
lure+0.9 --fraction 0.9
random-forgetting+0.9 --fraction 0.9
lure+half-each --fraction 0.5 --count per-tensor
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
done
