#!/usr/bin/env bash
# Runs our programs on a GPU machine that has Python with torch and nothing of
# ours, where commands are cut off after minutes, few bytes travel at once, and
# nothing outlives the machine:
#
#   bash bench/gpu_run.sh pack FOLDER [DATASETS]     here
#       a bundle of the release build and, from DATASETS, CIFAR-10's files, in
#       parts of 16 MB with their checksums; FOLDER/trips says which go together
#   bash bench/gpu_run.sh take PARTS STATE           there, once per trip
#       takes what came; names what is missing yet (exit code 3); unpacks
#   bash bench/gpu_run.sh bench STATE OUT [FLAGS]    there, again and again
#       bench/gpu_bench.py for SECONDS; goes on where it was cut off
#   bash bench/gpu_run.sh study STATE OUT FILE       there, again and again
#       `headstart run FILE` on the GPU for SECONDS; the same command goes on
#
#   SECONDS_AT_ONCE  540: what one command may take
#   TRIP_BYTES       64000000: what travels at once
#   SLOTS            cuda:0: of `study`
#
# OUT gets reports alone (runs, tables, logs, the end of a study's output), none
# above 16 MB. STATE stays on the machine and holds all the rest.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
seconds=${SECONDS_AT_ONCE:-540}
trip_bytes=${TRIP_BYTES:-64000000}
report_bytes=16000000
torch_version=$(sed -n 's/^torch_version=//p' "$root/deploy/install.sh")

usage() {
  sed -n '2,/^set/s/^# \?//p' "${BASH_SOURCE[0]}" | sed '/^set/d' >&2
  exit 2
}

pack() {
  local folder=${1:?} datasets=${2:-} bin=${BIN:-$root/build/release/bin}
  rm -rf "$folder"
  mkdir -p "$folder/whole" "$folder/parts"
  bash "$root/deploy/bundle.sh" --bin "$bin" --output "$folder/bundle" >&2
  strip -o "$folder/bundle/libexec/headstart-train-bench" \
    "$bin/headstart-train-bench"
  patchelf --force-rpath --set-rpath "\$ORIGIN/../lib" \
    "$folder/bundle/libexec/headstart-train-bench"
  tar -C "$folder" -cJf "$folder/whole/bundle.tar.xz" bundle
  if [[ $datasets ]]; then
    local files
    files=$(cd "$datasets" && find . \( -name 'data_batch_?.bin' \
      -o -name test_batch.bin \) | sort)
    # Six files, wherever below DATASETS they are.
    # shellcheck disable=SC2086
    tar -C "$datasets" --transform 's#.*/#cifar-10-batches-bin/#' \
      -cJf "$folder/whole/datasets.tar.xz" $files
  fi
  python3 "$root/bench/gpu_parts.py" split "$folder"/whole/* \
    --into "$folder/parts"
  # Whole parts, in order, as long as they fit; manifests go every time.
  (cd "$folder/parts" && stat -c '%s %n' -- *[0-9]) | awk \
    -v most="$((trip_bytes - 65536))" '
    { if (used + $1 > most) { printf "*.manifest\n"; used = 0 }
      used += $1; printf "%s ", $2 } END { printf "*.manifest\n" }' \
    > "$folder/trips"
  awk '{ print "trip " NR ": " $0 }' "$folder/trips"
}

take() {
  local parts=${1:?} state=${2:?} file
  python3 "$root/bench/gpu_parts.py" merge "$parts" --into "$state"
  for file in "$state"/*.tar.xz; do
    [[ -e $file.unpacked ]] && continue
    tar -C "$state" -xJf "$file"
    touch "$file.unpacked"
  done
}

# The LibTorch of the machine's own Python; programs of the bundle look there.
find_torch() {
  if [[ -z ${HEADSTART_TORCH_DIR:-} ]]; then
    HEADSTART_TORCH_DIR=$(python3 -c \
      'import os, torch; print(os.path.dirname(torch.__file__))')
  fi
  local found
  found=$(sed -n "s/^__version__ = '\([0-9.]*\).*/\1/p" \
    "$HEADSTART_TORCH_DIR/version.py")
  if [[ $found != "$torch_version" ]]; then
    echo "$HEADSTART_TORCH_DIR is torch ${found:-of unknown version}; the" \
      "programs are built with $torch_version and run with no other" >&2
    exit 1
  fi
  export HEADSTART_TORCH_DIR
  export LD_LIBRARY_PATH=$HEADSTART_TORCH_DIR/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
}

# Keeps the end of a report that has grown too large.
trim() {
  local file
  for file in "$@"; do
    if [[ $(stat -c %s "$file") -gt $report_bytes ]]; then
      tail -c $report_bytes "$file" > "$file.end" && mv "$file.end" "$file"
    fi
  done
}

bench() {
  local state=${1:?} out=${2:?}
  shift 2
  find_torch
  mkdir -p "$out" "$state/bench"
  timeout -k 20 "$seconds" python3 "$root/bench/gpu_bench.py" \
    --ours "$state/bundle/libexec/headstart-train-bench" \
    --datasets "$state" --report "$state/bench" \
    --seconds $((seconds * 2 / 3)) "$@" > "$state/bench/log" 2>&1 || {
    echo "cut off, or failed; the end of its log:"
    tail -n 20 "$state/bench/log"
  }
  cp "$state"/bench/* "$out/"
  trim "$out"/*
  ! [[ -e $out/report.md ]] || cat "$out/report.md"
}

study() {
  local state=${1:?} out=${2:?} file=${3:?} datasets=()
  find_torch
  mkdir -p "$out"
  ! [[ -e $state/datasets.tar.xz ]] || datasets=(--datasets "$state")
  # As Ctrl-C does: epochs that are done are stored, the same command goes on.
  timeout -s INT -k 30 "$seconds" "$state/bundle/bin/headstart" run "$file" \
    --data "$state/data" --slots "${SLOTS:-cuda:0}" "${datasets[@]}" \
    > "$state/study.log" 2>&1 || echo "it was cut off, or failed: $?"
  tail -n 40 "$state/study.log"
  cp "$state/study.log" "$out/"
  tar -C "$state/data" -czf "$out/logs.tar.gz" log
  trim "$out/study.log"
}

case ${1:-} in
  pack | take | bench | study) "$@" ;;
  *) usage ;;
esac
