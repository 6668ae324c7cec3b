#!/usr/bin/env python3
"""How good the weights are that a hypernetwork of our own predicts for networks that it has never seen.

Trains the hypernetwork that ghn_mnist.json describes, then each network of ghn_mnist_networks.json for an epoch, once from
what it predicts and once from kaiming_normal, with the same seed. These networks follow, in the hypernetwork's list, those
that it trains on and those that measure it (a unit test, SampleCnnsTest, holds the file to the list). Prints one line per
network and a summary: mean test accuracy at epoch 0 and after the epoch, and a two-sided paired t-test of the latter.

    python3 docs/experiments/ghn_mnist.py --datasets DIR --output DIR [--jobs 2]

--output keeps everything; what lies there already is not trained again. HEADSTART_BIN names the folder of the programs, of
which headstart-trainer is used, without a cluster. Standard library only.
"""
import argparse
import concurrent.futures
import json
import math
import os
import pathlib
import statistics
import subprocess

FOLDER = pathlib.Path(__file__).resolve().parent
ROOT = FOLDER.parents[1]
BIN = pathlib.Path(os.environ.get("HEADSTART_BIN", ROOT / "build" / "release" / "bin"))
HYPERNETWORK = "trainings/1/runs/1"
ADAM = {"learning_rate": 0.001, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "weight_decay": 0}


def complete(changes):
    """A TrainingSpec in full: the trainer takes no other. The rest is as in the first golden spec, which has defaults."""
    spec = json.loads((ROOT / "tests" / "golden" / "training_spec_full.json").read_text())[0]
    mnist = {**spec["dataset"]["mnist"], **changes["dataset"]["mnist"]}
    groups = spec["optimizer"]["groups"]
    return {**spec, **changes, "dataset": {"mnist": mnist}, "optimizer": {**changes["optimizer"], "groups": groups}}


def train(folder, run, spec, seed, datasets, sources=()):
    """The measurement of each epoch, from 0 on; 0 has one if the spec asks for it."""
    done = folder / "measurements.json"
    if not done.exists():
        folder.mkdir(parents=True, exist_ok=True)
        assignment = folder / "assignment.json"
        assignment.write_text(json.dumps({
            "type": "assign", "run": run, "attempt": 1, "training": complete(spec), "seed": seed, "from_epoch": 0,
            "until_epoch": spec["epochs"], "sources": []}))
        result = subprocess.run(
            [BIN / "headstart-trainer", "--assignment", assignment, "--output", folder, "--threads", "1", "--datasets",
             datasets, *(part for source in sources for part in ("--source", source))],
            check=True, stdout=subprocess.PIPE, text=True)
        said = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
        done.write_text(json.dumps([each["measurement"] for each in said if each["type"] == "epoch"]))
    return json.loads(done.read_text())


def judge(number, layers, weights, arguments):
    """{kind: [test accuracy at epoch 0, after 1]}"""
    kinds = {"ghn2": {"ghn2": {"weights": f"{HYPERNETWORK}/epochs/{weights[0]}", "predict_classifier": True}},
             "kaiming_normal": {"kaiming_normal": {"gain": math.sqrt(2), "mode": "FAN_IN"}}}
    accuracies = {}
    for kind, initializer in kinds.items():
        spec = {"model": {"sampled_cnn": {"layers": layers}},
                "dataset": {"mnist": {"train_examples": arguments.examples, "validation_examples": 0}}, "epochs": 1,
                "batch_size": 64, "optimizer": {"adam": ADAM}, "schedule": {"constant": {}}, "initializer": initializer,
                "evaluate": "TEST_EVERY_EPOCH", "evaluate_start": True}
        sources = [f"{HYPERNETWORK}/epochs/{weights[0]}={weights[1]}"] if kind == "ghn2" else []
        measured = train(arguments.output / f"{number}-{kind}", f"trainings/2/runs/{number}", spec, number, arguments.datasets,
                         sources)
        accuracies[kind] = [each["test_accuracy"] for each in measured]
    return accuracies


def two_sided_p(t, freedom):
    """Of Student's distribution: with x = sqrt(freedom) tan(a), its density is cos(a)^(freedom - 1) up to a factor."""
    def area(begin, cells=20_000):
        width = (math.pi / 2 - begin) / cells
        return width * sum(math.cos(begin + (i + 0.5) * width) ** (freedom - 1) for i in range(cells))
    return area(math.atan(abs(t) / math.sqrt(freedom))) / area(0)


def paired_t(differences):
    """(t, p) of their mean being 0."""
    error = statistics.stdev(differences) / math.sqrt(len(differences))
    t = statistics.mean(differences) / error
    return t, two_sided_p(t, len(differences) - 1)


def summary(judged):
    columns = {(kind, epoch): [row[kind][epoch] for row in judged] for kind in ("ghn2", "kaiming_normal") for epoch in (0, 1)}
    ahead = [ghn - kaiming for ghn, kaiming in zip(columns["ghn2", 1], columns["kaiming_normal", 1])]
    t, p = paired_t(ahead)
    return {
        "networks": len(judged),
        **{f"{kind}_epoch_{epoch}": {"mean": round(statistics.mean(values), 4), "stdev": round(statistics.stdev(values), 4),
                                     "min": round(min(values), 4), "max": round(max(values), 4)}
           for (kind, epoch), values in columns.items()},
        "ghn2_ahead_after_1": {"mean": round(statistics.mean(ahead), 4), "networks": sum(d > 0 for d in ahead),
                               "t": round(t, 3), "p": float(f"{p:.3g}")}}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", type=pathlib.Path, required=True)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--examples", type=int, default=0, help="that the judged networks train on; 0: all")
    parser.add_argument("--jobs", type=int, default=2, help="networks judged at once")
    arguments = parser.parse_args()
    spec = json.loads((FOLDER / "ghn_mnist.json").read_text())
    folder = arguments.output / "hypernetwork"
    for epoch, measurement in enumerate(train(folder, HYPERNETWORK, spec, 1, arguments.datasets)):
        print(json.dumps({"hypernetwork_epoch": epoch, **measurement}), flush=True)
    weights = (spec["epochs"], folder / f"epoch-{spec['epochs']}.safetensors")
    networks = json.loads((FOLDER / "ghn_mnist_networks.json").read_text())
    judged = []
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        for row in pool.map(lambda each: judge(*each, weights, arguments), enumerate(networks, 1)):
            judged.append(row)
            print(json.dumps({"network": len(judged), **row}), flush=True)
    print(json.dumps(summary(judged)))


if __name__ == "__main__":
    main()
