#!/usr/bin/env bash
# Every initializer from the same spec: loss and accuracy on the test set at
# epochs 0, 1 and 5, for LeNet on MNIST and the small CNN on CIFAR-10, each on
# 5,000 images, over three seeds.
#
#   bash bench/initializer_table.sh [--datasets DIR] [--only lenet|small_cnn] [--seeds 3]
#
# Prints one table a model, in Markdown; build release first. Some minutes a
# model.
set -euo pipefail
exec python3 "$(dirname "$0")/initializer_table.py" "$@"
