#!/usr/bin/env python3
"""The pruning study of Wijnja, Wierstra and Hamburger (2020) on LeNet-300-100 and MNIST.

Starts a cluster on this machine in DIR, trains each scheme with each seed for 100 epochs, 20 levels of pruning, and writes the test
accuracies of every level to OUTPUT. What is there already is not trained again: stop it whenever you like, and start it again.

  python3 docs/experiments/pruning_mnist.py --data DIR --datasets DIR --variant published_code --output published_code.json
  python3 docs/experiments/pruning_mnist.py --data DIR --datasets DIR --variant corrected --output corrected.json
"""
import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(os.environ.get("HEADSTART_BIN", ROOT / "build" / "release" / "bin")) / "headstart"
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


class Cluster:
    """`headstart up` on a folder, and questions to it."""

    def __init__(self, folder, datasets, slots):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / "up.log", "ab") as log:
            self.child = subprocess.Popen([str(PROGRAM), "up", "--data", str(folder), "--datasets", str(datasets), "--slots", str(slots),
                                           "--metrics-ports", "auto"], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        while subprocess.run([str(PROGRAM), "workers", "list", "--data", str(folder)], capture_output=True, check=False).returncode != 0:
            if self.child.poll() is not None:
                sys.exit(f"headstart up ended; see {folder / 'up.log'}")
            time.sleep(0.2)

    def ask(self, *arguments):
        told = subprocess.run([str(PROGRAM), *map(str, arguments), "--data", str(self.folder), "--format", "json"], capture_output=True,
                              text=True, check=False)
        if told.returncode != 0:
            sys.exit(told.stderr)
        return [json.loads(line) for line in told.stdout.splitlines()]

    def stop(self):
        self.child.send_signal(signal.SIGTERM)
        self.child.wait()


def levels(run):
    """(share of weights left, test accuracy) of the last epoch of each level."""
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
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # The cluster too.
    cluster = Cluster(arguments.data, arguments.datasets, arguments.slots)
    try:
        names = {}
        there = {training["display_name"]: training["name"] for training in cluster.ask("trainings", "list")}
        for scheme in VARIANTS[arguments.variant]["schemes"]:
            title = f"{arguments.variant} {scheme}"
            if title not in there:
                file = arguments.data / "training.yaml"  # JSON is YAML.
                file.write_text(json.dumps({"display_name": title, "training": spec(arguments.variant, scheme), "seeds": arguments.seeds}))
                there[title] = cluster.ask("trainings", "create", "-f", file)[-1]["name"]
            names[scheme] = there[title]
        said = None
        while True:
            runs = {scheme: cluster.ask("trainings", "get", name)[0]["runs"] for scheme, name in names.items()}
            over = sum(run["state"] not in ("WAITING", "TRAINING") for each in runs.values() for run in each)
            epochs = sum(int(run.get("epoch", 0)) for each in runs.values() for run in each)
            total = sum(len(each) for each in runs.values())
            if (over, epochs // 50) != said:
                said = (over, epochs // 50)
                print(f"{over} of {total} runs over, {epochs} of {total * LEVELS * LEVEL_EPOCHS} epochs", flush=True)
            if over == total:
                break
            time.sleep(2)
        failed = [run["name"] for each in runs.values() for run in each if run["state"] != "SUCCEEDED"]
        if failed:
            sys.exit(f"not finished: {', '.join(failed)}")
        arguments.output.write_text(json.dumps(
            {"variant": arguments.variant, "seeds": arguments.seeds,
             "schemes": {scheme: [levels(run) for run in each] for scheme, each in runs.items()}}, indent=1))
    finally:
        cluster.stop()


if __name__ == "__main__":
    main()
