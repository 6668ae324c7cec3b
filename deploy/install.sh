#!/usr/bin/env bash
# Installs what headstart is built from, and nothing that is already there:
# Debian packages with apt-get, LibTorch (the `torch` wheel) into .venv/ of this
# checkout. Root is needed only where a package is missing.
#
#   bash deploy/install.sh            what a build needs
#   source deploy/install.sh          the functions below, for other scripts
#
# With HEADSTART_TORCH_DIR set, the torch package in that folder is used as it
# is and none is installed.

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

torch_version=2.11.0
torchvision_version=0.26.0  # The one for that torch; tests only.
# libtorch_cpu needs two of CUDA's libraries even without a GPU.
torch_wheels=("torch==$torch_version" nvidia-cuda-runtime==13.0.96
  nvidia-cuda-cupti==13.0.85)

build_packages=(
  ca-certificates ccache cmake g++ libabsl-dev libbenchmark-dev
  libboost-math-dev libcli11-dev libfmt-dev libgmock-dev libgrpc++-dev
  libgrpc-dev libgtest-dev libisal-dev libjpeg62-turbo-dev libprotobuf-dev
  librocksdb-dev libspdlog-dev libssl-dev libyaml-cpp-dev libzstd-dev mold
  ninja-build nlohmann-json3-dev pkg-config prometheus-cpp-dev
  protobuf-compiler protobuf-compiler-grpc python3 python3-venv zlib1g-dev
)

# Steps: each says what it does and how long it took; summarize_steps repeats
# the times at the end.
step_times=()

step() {  # step TEXT COMMAND...
  local text=$1 start=$SECONDS
  shift
  echo "==> $text"
  "$@"
  step_times+=("$(printf '%6d s  %s' $((SECONDS - start)) "$text")")
  echo "    $((SECONDS - start)) s"
}

summarize_steps() {
  echo
  echo "Steps:"
  printf '%s\n' "${step_times[@]}"
  printf '%6d s  in all\n' "$SECONDS"
}

# install_packages NAME...: those that are missing, after looking at each.
install_packages() {
  if ! command -v dpkg-query > /dev/null; then
    echo "    this is not Debian; these packages (Debian's names) must be there: $*"
    return
  fi
  local missing=() package
  for package in "$@"; do
    [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2> /dev/null) \
       == installed ]] || missing+=("$package")
  done
  if [[ ${#missing[@]} == 0 ]]; then
    echo "    all $# packages are there"
    return
  fi
  echo "    missing: ${missing[*]}"
  local as_root=()
  if [[ $EUID != 0 ]]; then
    if ! command -v sudo > /dev/null; then
      echo "    Installing them needs root. Run this as root, then start again:" >&2
      echo "      apt-get update && apt-get install -y --no-install-recommends" \
        "${missing[*]}" >&2
      exit 1
    fi
    as_root=(sudo)
  fi
  as_root+=(env DEBIAN_FRONTEND=noninteractive)
  local log
  log=$(mktemp)
  if ! { "${as_root[@]}" apt-get -q update && "${as_root[@]}" apt-get -q -y \
         install --no-install-recommends "${missing[@]}"; } > "$log" 2>&1 \
         < /dev/null; then
    cat "$log" >&2
    rm "$log"
    echo "    apt-get could not install: ${missing[*]}" >&2
    exit 1
  fi
  rm "$log"
}

# Makes the virtual environment $1 with the wheels after it. A stamp written
# last tells a finished environment from one that was interrupted or is old.
install_wheels() {
  local folder=$1 stamp
  shift
  stamp="$(/usr/bin/python3 --version) $*"
  exec {lock}> "$folder.lock"  # Two runs in one checkout take turns.
  flock "$lock"
  if [[ $(cat "$folder/finished" 2> /dev/null) == "$stamp" ]]; then
    echo "    found $folder"
  else
    [[ ! -e $folder ]] || echo "    $folder is unfinished or outdated: made anew"
    rm -rf "$folder"
    /usr/bin/python3 -m venv "$folder"
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check \
      --no-input "$@" < /dev/null
    echo "$stamp" > "$folder/finished"
  fi
  exec {lock}>&-
}

# Sets HEADSTART_TORCH_DIR to a torch package that was checked.
install_torch() {
  if [[ -n ${HEADSTART_TORCH_DIR:-} ]]; then
    HEADSTART_TORCH_DIR=$(realpath -m "$HEADSTART_TORCH_DIR")
    echo "    HEADSTART_TORCH_DIR is $HEADSTART_TORCH_DIR"
  else
    mkdir -p "$root/.venv"
    install_wheels "$root/.venv/libtorch" --no-deps "${torch_wheels[@]}"
    HEADSTART_TORCH_DIR=$(echo "$root"/.venv/libtorch/lib/python3*/site-packages/torch)
  fi
  export HEADSTART_TORCH_DIR
  local file found
  for file in include/ATen/core/Tensor.h lib/libtorch_cpu.so lib/libc10.so; do
    if [[ ! -e $HEADSTART_TORCH_DIR/$file ]]; then
      echo "    HEADSTART_TORCH_DIR=$HEADSTART_TORCH_DIR holds no $file. Give the" \
        "folder of a torch $torch_version package, or unset it to have one" \
        "installed." >&2
      exit 1
    fi
  done
  found=$(sed -n "s/^__version__ = '\([0-9.]*\).*/\1/p" \
    "$HEADSTART_TORCH_DIR/version.py" 2> /dev/null || true)
  if [[ $found != "$torch_version" ]]; then
    echo "    HEADSTART_TORCH_DIR=$HEADSTART_TORCH_DIR is torch" \
      "${found:-of unknown version}; headstart is built with $torch_version." \
      "Give the folder of that version, or unset it to have one installed." >&2
    exit 1
  fi
}

# A complete PyTorch beside the small one, for the tests that read headstart's
# files in Python. Sets HEADSTART_TEST_PYTHON, by which those tests find it.
install_test_python() {
  mkdir -p "$root/.venv"
  install_wheels "$root/.venv/python" "torch==$torch_version" \
    "torchvision==$torchvision_version" numpy safetensors grpcio grpcio-tools \
    pyyaml
  export HEADSTART_TEST_PYTHON=$root/.venv/python/bin/python
}

# Debian's prometheus and promtool, for the monitoring test. Unpacked into
# .venv/ where the package is not installed: installing it would start a server.
install_prometheus() {
  if command -v prometheus promtool > /dev/null; then
    echo "    found $(command -v prometheus)"
    return
  fi
  local folder=$root/.venv/prometheus
  if [[ ! -e $folder ]]; then
    rm -rf "$folder.new"
    mkdir -p "$folder.new"
    if ! (cd "$folder.new" && apt-get -q download prometheus > log 2>&1 &&
          dpkg-deb -x prometheus_*.deb . && rm prometheus_*.deb &&
          mv "$folder.new" "$folder"); then
      echo "    there is none to be had (apt-get update may be due): the" \
        "monitoring test will be skipped"
      return
    fi
  fi
  export PATH=$PATH:$folder/usr/bin
}

# As many compilers at once as there are cores, but 2 GB of memory for each:
# a file that includes LibTorch takes that much.
build_jobs() {
  local cores memory
  cores=$(nproc)
  memory=$(awk '/^MemAvailable/ {print int($2 / 2000000)}' /proc/meminfo)
  echo $((memory < 1 ? 1 : memory < cores ? memory : cores))
}

# build PRESET [TARGET...]: configures and builds; all targets when none is named.
build() {
  local preset=$1
  shift
  # A clone in another folder finds what was compiled in this one.
  export CCACHE_BASEDIR=${CCACHE_BASEDIR-$root}
  export CCACHE_NOHASHDIR=${CCACHE_NOHASHDIR-true}
  (cd "$root" && cmake --preset "$preset" \
    -DHEADSTART_TORCH_DIR="${HEADSTART_TORCH_DIR:-}" > /dev/null &&
    cmake --build --preset "$preset" -j "$(build_jobs)" \
      ${1:+--target "$@"})
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  step "Debian packages" install_packages "${build_packages[@]}"
  step "LibTorch $torch_version (a download of 0.6 GB when it is missing)" \
    install_torch
  summarize_steps
  echo "HEADSTART_TORCH_DIR=$HEADSTART_TORCH_DIR"
fi
