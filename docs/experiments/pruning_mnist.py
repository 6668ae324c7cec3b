#!/usr/bin/env python3
"""The pruning study of Wijnja, Wierstra and Hamburger (2020) on LeNet-300-100 and MNIST.

Trains each scheme with each seed for 100 epochs, 20 levels of pruning, on a cluster on this machine in DIR, and writes the
accuracies of every level to OUTPUT. What is there already is not trained again: stop it whenever you like, and start it again.

  python3 docs/experiments/pruning_mnist.py --data DIR --datasets DIR --variant published_code --output published_code.json
  python3 docs/experiments/pruning_mnist.py --data DIR --datasets DIR --variant corrected --output corrected.json
"""
import argparse
import json
import pathlib

from local_cluster import Cluster

LEVEL_EPOCHS = 5
LEVELS = 20
ADAM = {"adam": {"learning_rate": 0.0012}}

SCHEMES = {"XN": {"xavier_normal": {}}, "XU": {"xavier_uniform": {}}, "KN": {"kaiming_normal": {}}, "KU": {"kaiming_uniform": {}},
           "XNh": {"xavier_normal": {"gain": 0.5}}, "XUh": {"xavier_uniform": {"gain": 0.5}},
           "XNd": {"xavier_normal": {"gain": 2}}, "XUd": {"xavier_uniform": {"gain": 2}},
           "N01": {"normal": {}}, "U01": {"uniform": {}}}
VARIANTS = {
    # Biases too; back to what the model had before its initializer; Adam goes on with its moments.
    "published_code": {"schemes": list(SCHEMES),
                       "pruning": {"biases": True, "reset": "RESET_TO_FRAMEWORK_DEFAULT", "reset_optimizer": False}},
    # What the text says.
    "corrected": {"schemes": ["XN", "XU", "KN", "KU"], "pruning": {}},
}


def spec(variant, scheme):
    return {"model": {"lenet_300_100": {"negative_slope": 0.05}},
            # Pixels divided by 255 and nothing else, and all 60,000 images.
            "dataset": {"mnist": {"validation_examples": 0, "normalization": {"mean": [0], "standard_deviation": [1]}}},
            "epochs": LEVELS * LEVEL_EPOCHS, "batch_size": 60, "optimizer": ADAM, "initializer": SCHEMES[scheme],
            "evaluate": "TEST_EVERY_EPOCH", "pruning": {"epochs_per_level": LEVEL_EPOCHS, **VARIANTS[variant]["pruning"]}}


def levels(run):
    """(share of weights left, test accuracy, training accuracy) of the last epoch of each level."""
    measured = {int(epoch["epoch"]): epoch["measurement"] for epoch in run["epochs"] if "measurement" in epoch}
    return [(measured[epoch]["survivor_share"], measured[epoch]["test_accuracy"], measured[epoch]["training_accuracy"])
            for epoch in range(LEVEL_EPOCHS, LEVELS * LEVEL_EPOCHS + 1, LEVEL_EPOCHS)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True, help="the cluster's folder; 2 GB")
    parser.add_argument("--datasets", required=True, help="a folder with mnist/")
    parser.add_argument("--variant", choices=sorted(VARIANTS), required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 43, 44])
    parser.add_argument("--slots", default="2")
    parser.add_argument("--output", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    schemes = VARIANTS[arguments.variant]["schemes"]
    titles = {scheme: f"{arguments.variant} {scheme}" for scheme in schemes}
    with Cluster(arguments.data, arguments.datasets, arguments.slots) as cluster:
        runs = cluster.train({titles[scheme]: {"training": spec(arguments.variant, scheme), "seeds": arguments.seeds} for scheme in schemes})
    arguments.output.write_text(json.dumps(
        {"variant": arguments.variant, "seeds": arguments.seeds,
         "schemes": {scheme: [levels(run) for run in runs[titles[scheme]]] for scheme in schemes}}).replace("]], ", "]],\n "))


if __name__ == "__main__":
    main()
