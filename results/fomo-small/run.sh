#!/usr/bin/env bash
# FOMO, its parts and its rivals on CIFAR-10: results/fomo-small/run.sh DATA_DIR, from the repository's root, with `lethe` on
# the PATH. DATA_DIR holds cifar-10-batches-py. Finished runs are kept, stopped ones go on; CORES runs at a time.
# The settings were chosen by search.sh. PROTOCOLS, ROWS, SEEDS, PARTS (train table attack) and AUTOATTACK (its seeds)
# each choose some of it.
set -euo pipefail
data=${1:?give the folder that holds cifar-10-batches-py}
here=results/fomo-small
cores=${CORES:-$(nproc)}

# Of each row: its table (main, or parts: FOMO with one thing changed), how many seeds, the config, the name, what differs;
# @ is the seed. The working model of at-ema is AT, that of awp-ema is AWP, that of no-consistency forgets and does nothing else.
# Batch statistics are averaged where nothing is forgotten, since that is as good there or better (no-forgetting-recompute).
falling="--schedule piecewise --milestones 0.5 0.75"
averaged="--stable-statistics average"
rows() {
  cat << END
main 5 fomo fomo
main 5 fomo 15-each-2 --fraction 0.15 --period 2
main 5 at-ema at-ema
main 5 at-swa at-swa
main 5 kd-swa kd-swa --clean-teacher $runs/sgd-seed@ --robust-teacher $runs/at-ema-seed@
teacher 5 sgd sgd
main 5 fomo no-forgetting --fraction 0 $averaged
main 5 fomo awp-ema --weights awp --awp-gamma 0.02 --fraction 0 --consistency 0 $falling $averaged
END
  if [ "$1" = 32px ]; then
    echo "main 5 fomo decay-0.998 --decay 0.998"
    echo "main 3 fomo no-forgetting-0.998 --decay 0.998 --fraction 0 $averaged"
    return
  fi
  cat << END
main 5 fomo awp-no-forgetting --weights awp --awp-gamma 0.02 --fraction 0 $averaged
main 5 fomo averaged-statistics --fraction 0.15 --period 2 $averaged
parts 3 fomo no-forgetting-recompute --fraction 0
parts 3 fomo no-consistency --consistency 0
parts 3 fomo keep-momentum --forgotten-state keep
parts 3 fomo magnitude --criterion magnitude
parts 3 fomo snip --criterion snip
parts 3 fomo average-phase --average phase --decay 0.9
parts 3 fomo average-stochastic --average stochastic --decay 0.995
parts 3 fomo everywhere --later-layers 1
parts 3 fomo paper --start 0.525 --period 5 --fraction 0.035 $falling
parts 5 fomo decay-0.998 --decay 0.998
parts 5 fomo fraction-0.4 --fraction 0.4
parts 3 fomo awp-0.01 --weights awp --awp-gamma 0.01
parts 3 fomo fraction-0.1 --fraction 0.1
parts 3 fomo period-8 --period 8
parts 3 fomo start-0.4 --start 0.4
parts 3 fomo auto-start --auto-start --patience 2
END
}
declare -A protocol=(
  [16px]=""
  [32px]="--image-size 32 --train-size 1500 --augment flip --validation-size 500 --model timm:test_resnet --epochs 90 --eval-every 9"
)
declare -A attack=([16px]="" [32px]="--epsilon 8/255 --steps 3 --step-size 4/255 --eval-early-stop")  # all but sgd's

made() { for run in "$@"; do [ ! -f "$run/summary.json" ] || echo "$run"; done; }  # a table is of what is finished so far

for at in ${PROTOCOLS:-16px 32px}; do
  runs=runs/fomo-small/$at
  . results/train_once.sh
  mkdir -p "$runs" "$here/$at"
  main=() parts=("$runs"/fomo-seed{0..4}) attacked=() jobs=""
  while read -r table count config name options; do
    [ "$config" = sgd ] || options="${attack[$at]} $options"
    [[ -z "${ROWS:-}" || " $ROWS " == *" $name "* ]] || continue
    for seed in ${SEEDS:-0 1 2 3 4}; do
      [ "$seed" -lt "$count" ] || continue
      jobs+="$config $name-seed$seed --seed $seed ${protocol[$at]} ${options//@/$seed}"$'\n'
      case $table in
        main) main+=("$runs/$name-seed$seed") attacked+=("$name-seed$seed") ;;
        parts) parts+=("$runs/$name-seed$seed") ;;
      esac
    done
  done < <(rows "$at")
  todo=${PARTS:-train table attack}
  if [[ $todo == *train* ]]; then
    jobs=$(sed 's/ *$//' <<< "$jobs")  # xargs joins a line that ends in a blank with the next
    for turn in -v -e; do              # students come after all teachers
      { grep $turn '^kd-swa ' <<< "$jobs" || true; } | xargs -P "$cores" -L 1 bash -c '[ $# = 0 ] || one "$@"' _
    done
  fi
  if [[ $todo == *table* ]]; then
    [ ${#main[@]} = 0 ] || lethe report $(made "${main[@]}") --out "$here/$at"
    # Differences are from a report's first row: here from that without forgetting, beside all that forgets.
    lethe report "$runs"/no-forgetting-seed* "$runs"/{fomo,decay-0.998}-seed* --out "$here/$at/forgetting"
    [ ${#parts[@]} = 5 ] || lethe report $(made "${parts[@]}") --out "$here/$at/parts"
    for row in fomo decay-0.998; do python3 "$here/clean.py" "$runs" $row; echo; done > "$here/$at/clean.md"
    rm -f "$here/$at"/{,forgetting/,parts/}report.html "$here/$at"/{forgetting,parts}/curves.png  # they repeat the others
  fi
  if [[ $todo == *attack* ]]; then
    for by in pgd-20 autoattack; do
      for seed in 0 1 2 3 4; do
        [[ $by = pgd-20 || " ${AUTOATTACK:-0 1 2 3 4} " == *" $seed "* ]] || continue  # which takes minutes a network
        for name in "${attacked[@]}"; do
          [[ $name == *-seed$seed ]] || continue
          for checkpoint in best-stable last-stable; do echo "$name $checkpoint $by"; done
          [[ $name != at-ema-* ]] || for checkpoint in best last; do echo "$name $checkpoint $by"; done
        done
      done
    done | xargs -P "$cores" -L 1 bash -c '
      lethe evaluate "$runs/$0" --checkpoint "$1" --attacks "$2" --images 200 --data-dir "$data"'
    python3 "$here/attacks.py" "$runs" > "$here/$at/attacks.md"
  fi
done
