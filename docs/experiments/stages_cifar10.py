#!/usr/bin/env python3
"""Does re-initialization help, and when? Zaidi et al. (2022) in small: the small CNN on a part of CIFAR-10.

Trains each method in each regime with each seed on a cluster on this machine in DIR, and writes accuracies to OUTPUT. What is there
already is not trained again: stop it whenever you like, and start it again.

  python3 docs/experiments/stages_cifar10.py --data DIR --datasets DIR --output stages_cifar10.json --figure stages_cifar10.svg
"""
import argparse
import json
import pathlib
import statistics

from local_cluster import Cluster, draw

DISTILLED = {"distillation": {}}
SHRUNK = {"shrink_perturb": {}}
METHODS = {"standard": None,
           "shrink and perturb, T = 5": {"count": 5, **SHRUNK},
           "shrink and perturb, T = 5, distilled": {"count": 5, **SHRUNK, **DISTILLED},
           "shrink and perturb, T = 10": {"count": 10, **SHRUNK},
           "shrink and perturb, T = 10, distilled": {"count": 10, **SHRUNK, **DISTILLED},
           # K times M: the small CNN has three blocks.
           "layer-wise, K = 3, M = 2": {"layer_wise": {"blocks": 3, "repeats": 2}},
           "layer-wise, K = 3, M = 2, distilled": {"layer_wise": {"blocks": 3, "repeats": 2}, **DISTILLED},
           "layer-wise, K = 2, M = 5": {"layer_wise": {"blocks": 2, "repeats": 5}},
           "layer-wise, K = 2, M = 5, distilled": {"layer_wise": {"blocks": 2, "repeats": 5}, **DISTILLED}}
SHORT = {"standard": "standard", "shrink and perturb": "S&P", "layer-wise": "LW"}
REGIMES = {"none": {},
           "DCW": {"augmentation": {"crop_padding": 4, "flip_probability": 0.5}, "schedule": {"cosine": {}}, "weight_decay": 5e-4}}


def spec(regime, stages, arguments):
    more = dict(REGIMES[regime])
    sgd = {"learning_rate": arguments.learning_rate, "momentum": 0.9, "weight_decay": more.pop("weight_decay", 0)}
    held_out = arguments.images // 4
    training = {"model": {"small_cnn": {}}, "epochs": arguments.epochs, "batch_size": arguments.batch_size, "optimizer": {"sgd": sgd}, **more,
                "dataset": {"cifar10": {"train_examples": arguments.images + held_out, "validation_examples": held_out}}}
    return training if stages is None else {**training, "stages": stages}


def accuracies(run):
    """Test accuracy of the last epoch, and validation accuracy of all."""
    measured = [epoch["measurement"] for epoch in run["epochs"] if "measurement" in epoch]
    return {"test": measured[-1]["test_accuracy"], "training": measured[-1]["training_accuracy"],
            "validation": [each["validation_accuracy"] for each in measured]}


def table(results):
    print("| method | " + " | ".join(f"{regime}: test accuracy" for regime in REGIMES) + " |")
    print("|---|" + "---|" * len(REGIMES))
    for method in METHODS:
        cells = []
        for regime in REGIMES:
            test = [100 * run["test"] for run in results[regime][method]]
            cells.append(f"{statistics.mean(test):.2f} ± {statistics.stdev(test):.2f}" if len(test) > 1 else f"{test[0]:.2f}")
        print(f"| {method} | " + " | ".join(cells) + " |")


def short(method):
    """S&P 5 d: shrink and perturb, T = 5, distilled."""
    name, *numbers = method.removesuffix(", distilled").split(", ")
    counts = "×".join(each.split(" = ")[1] for each in numbers)
    return f"{SHORT[name]} {counts}{' d' if method.endswith('distilled') else ''}".strip()


def figure(results, arguments):
    boxes = [{"title": f"regime {regime}", "x": {"categories": [short(method) for method in METHODS]}, "y": {"label": "test accuracy", "unit": "%"},
              "boxes": [{"samples": [[100 * run["test"] for run in results[regime][method]] for method in METHODS]}]} for regime in REGIMES]
    shown = ["standard", "shrink and perturb, T = 5", "shrink and perturb, T = 5, distilled", "layer-wise, K = 3, M = 2"]
    curves = []
    for regime in REGIMES:
        lines = []
        for method in shown:
            runs = [[100 * each for each in run["validation"]] for run in results[regime][method]]
            lines.append({"name": method, "x": list(range(1, arguments.epochs + 1)), "y": [statistics.mean(each) for each in zip(*runs)]})
        curves.append({"title": f"regime {regime}", "x": {"label": "epoch"}, "y": {"label": "validation accuracy", "unit": "%"}, "lines": lines})
    return {"title": f"Re-initialization in stages: small CNN, {arguments.images:,} images of CIFAR-10", "panels": boxes + curves, "columns": 2, "width": 1200}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True, help="the cluster's folder; 2 GB")
    parser.add_argument("--datasets", required=True, help="a folder with cifar10/")
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 43, 44])
    parser.add_argument("--epochs", type=int, default=60, help="a multiple of 5, 6 and 10")
    parser.add_argument("--images", type=int, default=2500, help="to train on; a quarter as many more are held out")
    parser.add_argument("--batch-size", type=int, default=125)
    parser.add_argument("--learning-rate", type=float, default=0.03)
    parser.add_argument("--slots", default="2")
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--figure", type=pathlib.Path)
    arguments = parser.parse_args()
    trainings = {f"{regime}: {method}": {"training": spec(regime, stages, arguments), "seeds": arguments.seeds}
                 for regime in REGIMES for method, stages in METHODS.items()}
    with Cluster(arguments.data, arguments.datasets, arguments.slots) as cluster:
        runs = cluster.train(trainings)
    results = {regime: {method: [accuracies(run) for run in runs[f"{regime}: {method}"]] for method in METHODS} for regime in REGIMES}
    arguments.output.write_text(json.dumps({**{name: getattr(arguments, name) for name in ("seeds", "epochs", "images", "batch_size", "learning_rate")},
                                             "results": results}, indent=1))
    table(results)
    if arguments.figure:
        draw(figure(results, arguments), arguments.figure)


if __name__ == "__main__":
    main()
