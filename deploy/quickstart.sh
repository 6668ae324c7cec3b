#!/usr/bin/env bash
# From a fresh clone to a tuned model: installs what is missing, builds the
# programs, tunes LeNet on MNIST and trains from the winner. Run it again and
# it goes on where it was. Arguments go to `headstart run`.

source "$(dirname "${BASH_SOURCE[0]}")/install.sh"
cd "$root"

step "Debian packages" install_packages "${build_packages[@]}"
step "LibTorch $torch_version (a download of 0.6 GB when it is missing)" \
  install_torch
step "Build (release)" build release headstart headstart-scheduler \
  headstart-storage headstart-worker headstart-trainer
step "headstart run examples/mnist.yaml" \
  build/release/bin/headstart run examples/mnist.yaml "$@"
summarize_steps
