#!/usr/bin/env bash
# FOMO, its parts and its rivals on CIFAR-10: results/fomo-small/run.sh DATA_DIR, from the repository's root, with `lethe` on
# the PATH. DATA_DIR holds cifar-10-batches-py. Finished runs are kept, stopped ones go on; CORES runs at a time.
# What was measured before is taken from runs.jsonl, without weights, and stands in the tables; with FRESH=1 it is not taken, and
# an empty runs folder is filled anew. Where a row or a config changes, its runs and their lines there have to go.
# The settings were chosen by search.sh. PROTOCOLS, PARTS (train attack table), ROWS, SEEDS and AUTOATTACK (its seeds) choose
# what is to be done; the tables are of all that is finished.
set -euo pipefail
data=${1:?give the folder that holds cifar-10-batches-py}
here=results/fomo-small
cores=${CORES:-$(nproc)}

# Of each row: its table (main; parts: FOMO with one thing changed, some on 16px alone; images: each seed has training, validation
# and test images of its own, for other_images.py), how many seeds, the config, the name, what differs;
# @ is the seed. The working model of at-ema is AT, that of awp-ema is AWP, that of no-consistency forgets and does nothing else.
# What forgets nothing has the average that suits it: of 1,000 steps, its batch statistics averaged, too; no-forgetting-alike
# has FOMO's own. at-ema-constant is AT and its average at FOMO's constant rate, at-ema-each-2 what early stopping finds among
# three times as many epochs.
falling="--schedule piecewise --milestones 0.5 0.75"
alone="--fraction 0 --decay 0.999 --stable-statistics average"
rows() {
  cat << END
main 5 fomo fomo
main 5 fomo later-half --later-layers 0.5
main 3 fomo everywhere --later-layers 1
main 3 fomo measured-statistics --stable-statistics measure
main 3 fomo averaged-statistics --stable-statistics average
main 5 at-ema at-ema
main 5 at-ema at-ema-constant --schedule constant
main 5 at-swa at-swa
main 5 kd-swa kd-swa --clean-teacher $runs/sgd-seed@ --robust-teacher $runs/at-ema-seed@
teacher 5 sgd sgd
main 5 fomo no-forgetting $alone
main 5 fomo no-forgetting-alike --fraction 0
main 5 fomo awp-ema --weights awp --awp-gamma 0.02 --consistency 0 $alone $falling
parts 3 fomo no-consistency --consistency 0
parts 3 fomo keep-momentum --forgotten-state keep
parts 3 fomo fraction-0.05 --fraction 0.05
parts 3 fomo fraction-0.4 --fraction 0.4
parts 3 fomo period-2 --period 2 --average-phases 10
parts 3 fomo period-8 --period 8 --average-phases 2.5
parts 3 fomo start-0.4 --start 0.4
parts 3 fomo auto-start --auto-start --patience 2
parts 3 fomo magnitude --criterion magnitude
parts 3 fomo snip --criterion snip
parts 3 fomo average-phase --average phase
parts 3 fomo average-stochastic --average stochastic
END
  [ "$1" = 16px ] || { echo "main 5 fomo awp-ema-0.01 --weights awp --awp-gamma 0.01 --consistency 0 $alone $falling" && return; }
  cat << END
main 5 at-ema at-ema-each-2 --eval-every 2
main 5 fomo everywhere-longer --later-layers 1 --average-phases 15
images 3 fomo fomo-other-images --split-seed 1@
images 3 fomo no-forgetting-other-images --split-seed 1@ $alone
images 3 at-ema at-ema-other-images --split-seed 1@
parts 3 fomo average-2 --average-phases 2
parts 3 fomo average-15 --average-phases 15
parts 3 fomo awp --weights awp --awp-gamma 0.02
parts 3 fomo awp-no-forgetting --weights awp --awp-gamma 0.02 --fraction 0
parts 3 fomo paper --start 0.525 --period 5 --fraction 0.035 --later-layers 0.5 --decay 0.999 $falling
END
}
declare -A protocol=(
  [16px]=""
  [32px]="--image-size 32 --train-size 1500 --augment flip --validation-size 500 --model timm:test_resnet --epochs 90 --eval-every 9"
)
declare -A radii=([16px]=4of255 [32px]=8of255)
declare -A attack=([16px]="" [32px]="--epsilon 8/255 --steps 3 --step-size 4/255 --eval-early-stop")  # all but sgd's

made() { for run in "$@"; do [ ! -f "$run/summary.json" ] || echo "$run"; done; }  # a table is of what is finished so far
attack_once() {  # NAME CHECKPOINT: PGD-20, and AutoAttack where its seed is among those asked for; nothing twice
  local attacks=() file="$runs/$1/evaluations/$2-test200-linf-$radius.json"
  grep -qs '"PGD-20":' "$file" || attacks+=(pgd-20)
  # AutoAttack takes a minute or two a network: of the seeds that it was asked for, which may be none.
  [[ " ${AUTOATTACK-0 1 2 3 4} " != *" ${1##*-seed} "* ]] || grep -qs '"AutoAttack":' "$file" || attacks+=(autoattack)
  [ ${#attacks[@]} -gt 0 ] || return 0
  if [ -f "$runs/$1/checkpoints/$2.pt" ]; then
    lethe evaluate "$runs/$1" --checkpoint "$2" --attacks "${attacks[@]}" --images 200 --data-dir "$data"
  else
    echo "$1 has no $2 weights to attack here: left out"
  fi
}
export -f attack_once
export radius

for at in ${PROTOCOLS:-16px 32px}; do
  runs=runs/fomo-small/$at radius=${radii[$at]}
  . results/train_once.sh
  mkdir -p "$runs" "$here/$at"
  [ -n "${FRESH:-}" ] || python3 results/records.py unpack "$here/$at/runs.jsonl" "$runs"
  main=() parts=("$runs"/{fomo,no-forgetting-alike}-seed{0..2}) attacked=() jobs=""
  while read -r table count config name options; do
    [ "$config" = sgd ] || options="${attack[$at]} $options"
    for seed in 0 1 2 3 4; do
      [ "$seed" -lt "$count" ] || continue
      case $table in
        main) main+=("$runs/$name-seed$seed") ;;
        parts) parts+=("$runs/$name-seed$seed") ;;
      esac
      [[ -z "${ROWS:-}" || " $ROWS " == *" $name "* ]] || continue
      [[ " ${SEEDS:-0 1 2 3 4} " == *" $seed "* ]] || continue
      jobs+="$config $name-seed$seed --seed $seed ${protocol[$at]} ${options//@/$seed}"$'\n'
      case $table in main | parts) attacked+=("$name-seed$seed") ;; esac
    done
  done < <(rows "$at")
  todo=${PARTS:-train attack table}
  if [[ $todo == *train* ]]; then
    jobs=$(sed 's/ *$//' <<< "$jobs")  # xargs joins a line that ends in a blank with the next
    for turn in -v -e; do              # students come after all teachers
      { grep $turn '^kd-swa ' <<< "$jobs" || true; } | xargs -P "$cores" -L 1 bash -c 'one "$@"' _
    done
  fi
  if [[ $todo == *attack* ]]; then
    for name in "${attacked[@]}"; do
      for checkpoint in best-stable last-stable best last; do echo "$name $checkpoint"; done
    done | xargs -r -P "$cores" -L 1 bash -c 'attack_once "$@"' _
  fi
  if [[ $todo == *table* ]]; then
    python3 results/records.py pack "$runs" "$here/$at/runs.jsonl"
    lethe report --by-folder $(made "${main[@]}") --out "$here/$at"
    # Differences are from a report's first row: here from that without forgetting. Its picture has few curves, and is kept.
    lethe report --by-folder $(made "$runs"/{no-forgetting,fomo,at-ema}-seed*) --out "$here/$at/forgetting"
    lethe report --by-folder $(made "${parts[@]}") --out "$here/$at/parts"
    python3 "$here/attacks.py" $(made "${parts[@]}") > "$here/$at/parts/attacks.md"
    python3 "$here/overview.py" parts "$runs" > "$here/$at/parts/overview.md"
    python3 "$here/overview.py" working "$runs" > "$here/$at/parts/working.md"
    [ "$at" != 16px ] || python3 "$here/other_images.py" "$runs" > "$here/$at/other-images.md"
    python3 "$here/clean.py" "$runs" > "$here/$at/clean.md"
    python3 "$here/attacks.py" $(made "${main[@]}") > "$here/$at/attacks.md"
    python3 "$here/overview.py" main "$runs" > "$here/$at/overview.md"
    python3 "$here/layers.py" > "$here/layers.md"
    [ "$at" != 32px ] || python3 "$here/validation.py" "$runs" awp-ema awp-ema-0.01 fomo > "$here/$at/validation.md"
    rm -f "$here/$at"/{,forgetting/,parts/}report.html "$here/$at"/{,parts/}curves.png  # they repeat the others
  fi
done
