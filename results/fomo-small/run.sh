#!/usr/bin/env bash
# FOMO, its parts and its rivals on CIFAR-10: results/fomo-small/run.sh DATA_DIR, from the repository's root, with `lethe` on
# the PATH. DATA_DIR holds cifar-10-batches-py. Finished runs are kept, stopped ones go on; CORES runs at a time.
# The settings were chosen by search.sh. PROTOCOLS, ROWS, SEEDS, PARTS (train table attack) and AUTOATTACK (its seeds)
# each choose some of it.
set -euo pipefail
data=${1:?give the folder that holds cifar-10-batches-py}
here=results/fomo-small
cores=${CORES:-$(nproc)}

# Of each row: how many seeds, the config, the name, what differs. The working model of at-ema is AT, that of awp-ema is AWP.
# Batch statistics are averaged where nothing is forgotten, since that is as good there or better (no-forgetting-recompute).
falling="--schedule piecewise --milestones 0.5 0.75"
averaged="--stable-statistics average"
rows() {
  cat << END
5 fomo fomo
5 at-ema at-ema
5 fomo no-forgetting --fraction 0 $averaged
5 fomo awp-ema --weights awp --awp-gamma 0.02 --fraction 0 --consistency 0 $falling $averaged
END
  [ "$1" = 16px ] || return 0
  cat << END
5 fomo awp-no-forgetting --weights awp --awp-gamma 0.02 --fraction 0 $averaged
5 fomo averaged-statistics $averaged
3 fomo no-forgetting-recompute --fraction 0
3 fomo no-consistency --consistency 0
3 fomo keep-momentum --forgotten-state keep
3 fomo magnitude --criterion magnitude
3 fomo snip --criterion snip
3 fomo average-phase --average phase --decay 0.9
3 fomo average-stochastic --average stochastic --decay 0.995
3 fomo everywhere --later-layers 1
3 fomo paper --start 0.525 --period 5 --fraction 0.035 $falling
3 fomo fraction-0.3 --fraction 0.3
3 fomo fraction-0.05 --fraction 0.05
3 fomo period-5 --period 5
3 fomo start-0.4 --start 0.4
END
}
declare -A protocol=(
  [16px]=""
  [32px]="--image-size 32 --train-size 1500 --augment flip --validation-size 500 --epsilon 8/255 --steps 3 --step-size 4/255
    --model timm:test_resnet --epochs 90 --eval-every 9 --eval-early-stop"
)

for at in ${PROTOCOLS:-16px 32px}; do
  runs=runs/fomo-small/$at
  . results/train_once.sh
  mkdir -p "$runs" "$here/$at"
  listed=() attacked=() jobs=""
  while read -r count config name options; do
    [[ -z "${ROWS:-}" || " $ROWS " == *" $name "* ]] || continue
    for seed in ${SEEDS:-0 1 2 3 4}; do
      [ "$seed" -lt "$count" ] || continue
      jobs+="$config $name-seed$seed --seed $seed ${protocol[$at]//$'\n'/ } $options"$'\n'
      listed+=("$runs/$name-seed$seed")
      [ "$count" = 5 ] && attacked+=("$name-seed$seed")
    done
  done < <(rows "$at")
  parts=${PARTS:-train table attack}
  if [[ $parts == *train* ]]; then
    sed 's/ *$//' <<< "$jobs" | sed '/^$/d' | xargs -P "$cores" -L 1 bash -c 'one "$@"' _  # a blank at its end joins lines
  fi
  if [[ $parts == *table* ]]; then
    lethe report "${listed[@]}" --out "$here/$at"
    # Differences are from a report's first row: here from that without forgetting, beside all that forgets.
    lethe report "$runs"/no-forgetting-seed* "$runs"/fomo-seed* --out "$here/$at/forgetting"
    python3 "$here/clean.py" "$runs" > "$here/$at/clean.md"
    rm "$here/$at"/{,forgetting/}report.html "$here/$at/forgetting/curves.png"  # they repeat the others
  fi
  if [[ $parts == *attack* ]]; then
    for attack in pgd-20 autoattack; do
      for seed in 0 1 2 3 4; do
        [[ $attack = pgd-20 || " ${AUTOATTACK:-0 1 2 3 4} " == *" $seed "* ]] || continue  # which takes minutes a network
        for name in "${attacked[@]}"; do
          [[ $name == *-seed$seed ]] || continue
          for checkpoint in best-stable last-stable; do echo "$name $checkpoint $attack"; done
          [[ $name != at-ema-* ]] || for checkpoint in best last; do echo "$name $checkpoint $attack"; done
        done
      done
    done | xargs -P "$cores" -L 1 bash -c '
      lethe evaluate "$runs/$0" --checkpoint "$1" --attacks "$2" --images 200 --data-dir "$data"'
    python3 "$here/attacks.py" "$runs" > "$here/$at/attacks.md"
  fi
done
