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

# NAME [OPTION ...]: under each replay.
learners() {
  cat << END
alma
lure
lure+0.9 --fraction 0.9
random-forgetting
random-forgetting+half --fraction 0.5
random-forgetting+0.9 --fraction 0.9
scratch
shrink-perturb
llf
rifle
END
}
# Under full replay alone, in a table of their own.
variants() {
  cat << END
alma
alma+carried --optimizer-state carried
alma+sam --optimizer-rule sam
lure
lure+official --official
lure+half --fraction 0.5
lure+half-each --fraction 0.5 --count per-tensor
lure+sam --optimizer-rule sam
END
}
parts=${PARTS:-train table}
for replay in ${REPLAYS:-full none 1000}; do
  for table in learners variants; do
    [[ $replay = full || $table = learners ]] || continue
    listed=() jobs="" folder=$here/replay-$replay
    [ $table = learners ] || folder+=/variants
    while read -r name options; do
      [[ -z "${LEARNERS:-}" || " $LEARNERS " == *" $name "* ]] || continue
      for seed in ${SEEDS:-0 1 2}; do
        jobs+="$replay $name $seed $options"$'\n'
        listed+=("$runs/$replay/$name-seed$seed")
      done
    done < <($table)
    if [[ $parts == *train* ]]; then
      sed 's/ *$//; /^$/d' <<< "$jobs" | xargs -P "$cores" -L 1 bash -c 'learn "$@"' _
    fi
    if [[ $parts == *table* ]]; then
      lethe report "${listed[@]}" --out "$folder"
      rm "$folder/report.html"  # the page repeats the others
    fi
  done
done
