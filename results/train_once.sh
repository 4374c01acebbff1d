# Sourced by the studies' scripts, which set here (their folder), runs (where runs go) and data, from the repository's root.
# `one CONFIG NAME [OPTION ...]` makes the run $runs/NAME from $here/CONFIG.json: not again if it is finished, on from its
# last checkpoint if it was stopped. One thread a run, as many runs at a time as a script likes; nproc counts one from here on.
export here runs data OMP_NUM_THREADS=1
one() {
  [ $# -ge 2 ] || return 0  # xargs calls once without any where nothing is to be done
  config=$1 out=$runs/$2
  shift 2
  [ -f "$out/summary.json" ] && return
  if [ -f "$out/checkpoints/last.pt" ]; then
    lethe train --resume "$out"
  else
    rm -rf "$out"
    lethe train --config "$here/$config.json" --data-dir "$data" --out "$out" "$@"
  fi
}
export -f one
