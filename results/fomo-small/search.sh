#!/usr/bin/env bash
# In which regime does forgetting pay? results/fomo-small/search.sh DATA_DIR, from the repository's root, with `lethe` on the
# PATH. Settings are compared on validation images, by seeds that no table is made of. Finished runs are kept, stopped ones go on;
# search.txt keeps the lines of runs that are not here. ROWS chooses some.
set -euo pipefail
data=${1:?give the folder that holds cifar-10-batches-py}
here=results/fomo-small
runs=runs/fomo-small/search
cores=${CORES:-$(nproc)}
. results/train_once.sh
mkdir -p "$runs"
# 32px: which protocol of larger images shows robust overfitting that two cores can wait for.
large="--image-size 32 --validation-size 500 --test-size 100"
small="--image-size 32 --train-size 1500 --augment flip --validation-size 500 --test-size 500 --epsilon 8/255 --steps 3 --step-size 4/255
  --model timm:test_resnet --epochs 90 --eval-every 9 --eval-early-stop"
small=${small//$'\n'/ }
wide=${small/--validation-size 500 --test-size 500/--validation-size 1500 --test-size 100}
four="--period 4 --stable-statistics recompute"  # each four epochs
for seed in ${SEEDS:-10 11}; do
  while read -r name options; do
    [[ -z "${ROWS:-}" || " $ROWS " == *" $name "* ]] || continue
    config=fomo
    case $name in at | 32px-at-*) config=at ;; 32px-ema | 32px-wide-ema) config=at-ema ;; esac
    if [ $config = fomo ]; then  # what the search began from
      [[ $options == *--stable-statistics* ]] || options+=" --stable-statistics average"
      [[ $options == *--fraction* ]] || options+=" --fraction 0.15"
      [[ $options == *--period* ]] || options+=" --period 2"
      [[ $options == *--decay* || $options == *--average-phases* ]] || options+=" --decay 0.999"
      [[ $options == *--later-layers* ]] || options+=" --later-layers 0.5"
      [[ $options == *--start* ]] || options+=" --start 0.134"
    fi
    echo "$config $name-seed$seed --seed $seed${options:+ $options}"
  done << END
at --test-size 100
constant-0.995 --decay 0.995 --consistency 3
none-constant-0.995 --decay 0.995 --fraction 0 --consistency 3
none-piecewise --schedule piecewise --fraction 0 --consistency 3
half-each-2 --decay 0.995 --fraction 0.5 --consistency 3
consistency-3 --consistency 3
none-constant-3 --fraction 0 --consistency 3
none-constant --fraction 0 --consistency 2
no-consistency --consistency 0
none-none --fraction 0 --consistency 0
5-each-1 --fraction 0.05 --period 1 --consistency 3
30-each-4 --fraction 0.3 --period 4 --consistency 3
consistency-2 --consistency 2
piecewise --schedule piecewise --consistency 2
cosine --schedule cosine --consistency 2
consistency-1 --test-size 100
none-consistency-1 --fraction 0 --test-size 100
20-each-2 --fraction 0.2 --test-size 100
last-quarter-30 --later-layers 0.25 --fraction 0.3 --test-size 100
channels --granularity channels --test-size 100
clean-consistency --clean-consistency 1 --test-size 100
half-and-clean --consistency 0.5 --clean-consistency 1 --test-size 100
awp --weights awp --awp-gamma 0.02 --test-size 100
none-awp --weights awp --awp-gamma 0.02 --fraction 0 --test-size 100
32px-at-crop-8 $large --train-size 2000 --augment crop-flip --epsilon 8/255 --step-size 2/255 --epochs 40 --eval-every 5
32px-at-wide-crop-8 $large --train-size 1000 --augment crop-flip --width 32 --epsilon 8/255 --step-size 2/255 --epochs 40 --eval-every 5
32px-at-flip-4 $large --train-size 2000 --augment flip --steps 3 --step-size 2/255
32px-at-resnet18 $large --train-size 2000 --augment flip --steps 3 --step-size 2/255 --model resnet18-imagenet --epochs 30 --eval-every 3
32px-fomo-5-each-4 $large --train-size 1500 --augment flip --steps 3 --step-size 2/255 --model resnet18-imagenet --epochs 40 --eval-every 5 --fraction 0.05 --period 4
32px-ema $small
32px-none $small --fraction 0
32px-15-each-2 $small
32px-5-each-2 $small --fraction 0.05
32px-recompute $small --stable-statistics recompute
32px-none-recompute $small --fraction 0 --stable-statistics recompute
32px-10-each-2-recompute $small --fraction 0.1 --stable-statistics recompute
32px-decay-0.998 $small --decay 0.998 --stable-statistics recompute
32px-half-consistency $small --consistency 0.5 --stable-statistics recompute
32px-clean-consistency $small --clean-consistency 1 --stable-statistics recompute
32px-period-4 $small --period 4 --stable-statistics recompute
32px-half-and-clean $small --consistency 0.5 --clean-consistency 1 --stable-statistics recompute
32px-10-each-2-decay-0.998 $small --fraction 0.1 --decay 0.998 --stable-statistics recompute
32px-awp-0.005 $small --weights awp --awp-gamma 0.005 --stable-statistics recompute
32px-piecewise $small --schedule piecewise --stable-statistics recompute
32px-wide-ema $wide
32px-wide-base $wide --stable-statistics recompute
32px-wide-period-3 $wide --period 3 --stable-statistics recompute
32px-wide-period-4 $wide --period 4 --stable-statistics recompute
32px-wide-period-4-decay-0.998 $wide --period 4 --decay 0.998 --stable-statistics recompute
32px-wide-25-period-4 $wide --period 4 --fraction 0.25 --stable-statistics recompute
32px-wide-25-period-4-decay-0.998 $wide --period 4 --fraction 0.25 --decay 0.998 --stable-statistics recompute
32px-wide-30-period-5-decay-0.998 $wide --period 5 --fraction 0.3 --decay 0.998 --stable-statistics recompute
32px-wide-40-period-4-decay-0.998 $wide --period 4 --fraction 0.4 --decay 0.998 --stable-statistics recompute
32px-wide-everywhere $wide --later-layers 1 $four --fraction 0.25 --decay 0.999
32px-wide-everywhere-decay-0.998 $wide --later-layers 1 $four --fraction 0.25 --decay 0.998
32px-wide-everywhere-20-decay-0.998 $wide --later-layers 1 $four --decay 0.998 --fraction 0.2
32px-wide-everywhere-15-decay-0.998 $wide --later-layers 1 $four --decay 0.998 --fraction 0.15
32px-wide-everywhere-zero-decay-0.998 $wide --later-layers 1 $four --fraction 0.25 --decay 0.998 --reinit zero
32px-wide-everywhere-rewind $wide --later-layers 1 $four --fraction 0.25 --decay 0.998 --reinit rewind
32px-wide-75-start-15 $wide --start 0.15 --later-layers 0.75 $four --fraction 0.25 --average-phases 5
32px-wide-75-start-15-40 $wide --start 0.15 --later-layers 0.75 $four --fraction 0.4 --average-phases 5
32px-wide-everywhere-start-15 $wide --start 0.15 --later-layers 1 $four --fraction 0.25 --average-phases 5
32px-wide-75-decay-0.998 $wide --later-layers 0.75 $four --fraction 0.25 --decay 0.998
base-recompute --stable-statistics recompute --test-size 100
period-3-recompute --period 3 --stable-statistics recompute --test-size 100
period-4-recompute --period 4 --stable-statistics recompute --test-size 100
25-period-4-recompute --period 4 --fraction 0.25 --stable-statistics recompute --test-size 100
25-period-4-decay-0.998 --period 4 --fraction 0.25 --decay 0.998 --stable-statistics recompute --test-size 100
40-period-4-decay-0.998 --period 4 --fraction 0.4 --decay 0.998 --stable-statistics recompute --test-size 100
everywhere --later-layers 1 $four --fraction 0.25 --decay 0.999 --test-size 100
everywhere-decay-0.998 --later-layers 1 $four --fraction 0.25 --decay 0.998 --test-size 100
everywhere-decay-0.997 --later-layers 1 $four --fraction 0.25 --decay 0.997 --test-size 100
everywhere-20-decay-0.997 --later-layers 1 $four --decay 0.997 --fraction 0.2 --test-size 100
everywhere-15-decay-0.998 --later-layers 1 $four --decay 0.998 --fraction 0.15 --test-size 100
everywhere-15-decay-0.997 --later-layers 1 $four --decay 0.997 --fraction 0.15 --test-size 100
everywhere-zero-decay-0.997 --later-layers 1 $four --fraction 0.25 --decay 0.997 --reinit zero --test-size 100
everywhere-soft-decay-0.997 --later-layers 1 $four --decay 0.997 --fraction 0.5 --shrink 0.5 --perturb 0.5 --test-size 100
everywhere-rewind --later-layers 1 $four --fraction 0.25 --decay 0.997 --reinit rewind --test-size 100
75-phases-8 --later-layers 0.75 $four --fraction 0.25 --average-phases 8 --test-size 100
later-75-decay-0.998 --later-layers 0.75 $four --fraction 0.25 --decay 0.998 --test-size 100
later-75-decay-0.997 --later-layers 0.75 $four --fraction 0.25 --decay 0.997 --test-size 100
END
done | xargs -P "$cores" -L 1 bash -c 'one "$@"' _
python3 - "$runs" "$here/search.txt" << 'END'
"""Validation accuracy, %, at the best and at the last epoch, of the stable and the working model."""
import json, pathlib, sys
file = pathlib.Path(sys.argv[2])
found = {line.partition(",")[0]: line for line in file.read_text().splitlines()} if file.is_file() else {}
for run in sorted(pathlib.Path(sys.argv[1]).glob("*-seed*")):
    if not (run / "summary.json").is_file():
        continue
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    shown = []
    for prefix, name in (("stable/", "stable"), ("", "working")):
        robust = [line[f"{prefix}validation/robust"] for line in lines if f"{prefix}validation/robust" in line]
        clean = [line[f"{prefix}validation/clean"] for line in lines if f"{prefix}validation/clean" in line]
        if robust:
            shown.append(f"{name} best {100 * max(robust):.1f} last {100 * robust[-1]:.1f} clean {100 * clean[-1]:.1f}")
    found[run.name] = ", ".join([run.name, *shown])
file.write_text("".join(f"{found[name]}\n" for name in sorted(found)))
END
