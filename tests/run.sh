#!/usr/bin/env bash
# Installs what is missing, builds everything and runs every test.
#
#   bash tests/run.sh [--preset NAME] [--with-python] [--with-clang]
#                     [--with-browser] [-- CTEST ARGUMENTS]
#
#   --preset NAME   of CMakePresets.json; dev unless said otherwise
#   --with-python   also the tests that need a complete PyTorch (4.7 GB more in
#                   .venv/); on when CI=true
#   --with-clang    also clang's thread-safety analysis, and every header alone,
#                   as --preset clang-check does; on when CI=true
#   --with-browser  also the test that reads report pages in Chromium (200 MB);
#                   on when CI=true
#   -- ...          such as: -- -L unit, or: -- -R storage/

source "$(dirname "${BASH_SOURCE[0]}")/../deploy/install.sh"

preset=dev
with_python=${CI:-false}
with_clang=${CI:-false}
with_browser=${CI:-false}
while (($#)); do
  case $1 in
    --preset) preset=${2:?--preset needs a name of CMakePresets.json} && shift ;;
    --with-python) with_python=true ;;
    --with-clang) with_clang=true ;;
    --with-browser) with_browser=true ;;
    --) shift && break ;;
    *) sed -n '2,/^$/s/^# \?//p' "${BASH_SOURCE[0]}" >&2 && exit 2 ;;
  esac
  shift
done

# shellcheck disable=SC2154  # From install.sh.
packages=("${build_packages[@]}")
[[ $preset != clang-check && $with_clang != true ]] || packages+=(clang)
[[ $with_browser != true ]] || packages+=(chromium)
[[ $EUID != 0 ]] || packages+=(debootstrap)  # For the bundle's test: root only.
step "Debian packages" install_packages "${packages[@]}"
if [[ $preset != tsan && $preset != clang-check ]]; then
  step "LibTorch $torch_version (a download of 0.6 GB when it is missing)" \
    install_torch
fi
step "Prometheus (for the monitoring test)" install_prometheus
if [[ $with_python == true ]]; then
  step "PyTorch $torch_version (a download of 2.5 GB when it is missing)" \
    install_test_python
fi
[[ $with_clang != true ]] || step "Clang's checks" build clang-check
step "Build ($preset)" build "$preset"
if [[ $preset == clang-check ]]; then  # Builds nothing that runs.
  summarize_steps
  exit
fi

results=$root/build/$preset/test-results.xml
tests() {
  (cd "$root" && ctest --preset "$preset" -j "$(nproc)" --no-tests=error \
    --output-on-failure --output-junit "$results" \
    --test-output-size-passed 1000000 "$@") || failed=$?
}
failed=0
step "Tests" tests "$@"

/usr/bin/python3 "$root/tests/summarize.py" "$results"
summarize_steps
exit "$failed"
