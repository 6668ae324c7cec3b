#!/usr/bin/env bash
# Makes one folder with all programs and the shared libraries they need, which
# runs on this Linux and newer ones with nothing installed:
#
#   bash deploy/bundle.sh [--output FOLDER] [--bin FOLDER]
#   HEADSTART_TORCH_DIR=.../site-packages/torch FOLDER/bin/headstart run ...
#
#   --output   by default dist/headstart-VERSION-linux-ARCHITECTURE
#   --bin      take these programs rather than build release
#
# LibTorch is not in it: its programs find it by HEADSTART_TORCH_DIR, or as
# torch/ in FOLDER. Left to the system as well, which has them in any case:
#   the C library (this one's version or newer) and libstdc++, since LibTorch
#   must see the same ones;
#   OpenSSL 3, since the distribution's security updates should reach it
#   (docs/decisions/0006-the-bundle-leaves-openssl.md).
# licenses/ has what the packages of the libraries say, a file per package whose
# first line names the libraries.
# Programs find all others by their run path, $ORIGIN/../lib.

source "$(dirname "${BASH_SOURCE[0]}")/install.sh"
# shellcheck disable=SC2154  # From install.sh.
cd "$root"

bin=
output=
while (($#)); do
  case $1 in
    --bin) bin=$(realpath "${2:?--bin needs a folder}") && shift ;;
    --output) output=$(realpath -m "${2:?--output needs a folder}") && shift ;;
    *) sed -n '2,/^$/s/^# \?//p' "${BASH_SOURCE[0]}" >&2 && exit 2 ;;
  esac
  shift
done

programs=(headstart headstart-scheduler headstart-storage headstart-worker
  headstart-trainer)
from_system='/(lib(c|m|dl|rt|pthread|util|resolv|mvec)\.so|libstdc\+\+|libgcc_s)'
from_system+='|/lib(crypto|ssl)\.so\.3$'

# The Debian package that a shared library came from.
package_of() {
  dpkg -S "*/$1" | sed -n '1s/[:,].*//p'
}

collect() {
  rm -rf "$output.new"
  mkdir -p "$output.new/bin" "$output.new/lib" "$output.new/libexec"
  local program library
  for program in "${programs[@]}"; do
    strip -o "$output.new/bin/$program" "$bin/$program"
    # Without the folder of the LibTorch it was built with.
    patchelf --force-rpath --set-rpath "\$ORIGIN/../lib" \
      "$output.new/bin/$program"
    ldd "$bin/$program"
  done | awk '$3 ~ /^\/(usr\/)?lib/ {print $3}' | sort -u |
    grep -Ev "$from_system" | while read -r library; do
      cp -L "$library" "$output.new/lib/"
    done

  local package
  mkdir "$output.new/licenses"
  for library in "$output.new"/lib/*; do
    package=$(package_of "$(basename "$library")")
    echo "$(basename "$library") $package"
  done | sort | awk '{names[$2] = names[$2] " " $1}
                     END {for (p in names) print p names[p]}' |
    while read -r package names; do
      { echo "$names" && cat "/usr/share/doc/$package/copyright"; } \
        > "$output.new/licenses/$package"
    done

  mv "$output.new/bin/headstart-trainer" "$output.new/libexec/"
  # Half a megabyte, where it was built; the rest of CUDA comes with LibTorch.
  if [[ -e $bin/libheadstart-trainer-cuda.so ]]; then
    strip -o "$output.new/libexec/libheadstart-trainer-cuda.so" \
      "$bin/libheadstart-trainer-cuda.so"
    patchelf --remove-rpath "$output.new/libexec/libheadstart-trainer-cuda.so"
  fi
  cat > "$output.new/bin/headstart-trainer" << 'END'
#!/bin/sh
# Starts the trainer with the LibTorch of HEADSTART_TORCH_DIR.
here=$(dirname "$(readlink -f "$0")")
torch=${HEADSTART_TORCH_DIR:-$here/../torch}
if [ ! -e "$torch/lib/libtorch_cpu.so" ]; then
  echo "There is no LibTorch in $torch. Set HEADSTART_TORCH_DIR to the folder" \
    "of a torch @VERSION@ package (it has lib/libtorch_cpu.so)." >&2
  exit 1
fi
export LD_LIBRARY_PATH="$torch/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
exec "$here/../libexec/headstart-trainer" "$@"
END
  sed -i "s/@VERSION@/$torch_version/" "$output.new/bin/headstart-trainer"
  chmod +x "$output.new/bin/headstart-trainer"
  cp LICENSE "$output.new/"
  rm -rf "$output"
  mv "$output.new" "$output"
}

step "Debian packages" install_packages "${build_packages[@]}" binutils patchelf
if [[ ! $bin ]]; then
  step "LibTorch $torch_version (a download of 0.6 GB when it is missing)" \
    install_torch
  step "Build (release)" build release "${programs[@]}"
  bin=build/release/bin
fi
version=$("$bin/headstart" --version | grep -oE '[0-9][0-9.]*')
output=${output:-$root/dist/headstart-$version-linux-$(uname -m)}
step "Collect" collect
summarize_steps
du -sb --apparent-size "$output" | awk '{printf "%s: %.1f MB\n", $2, $1 / 1e6}'
