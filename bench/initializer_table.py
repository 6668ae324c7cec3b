#!/usr/bin/env python3
"""The table of bench/initializer_table.sh."""
import argparse
import json
import math
import os
import pathlib
import statistics
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
os.environ.setdefault("HEADSTART_BIN", str(ROOT / "build" / "release" / "bin"))
sys.path.insert(0, str(ROOT / "tests" / "end_to_end"))
from harness import DATASETS, Cluster, Folder, wait_until  # noqa: E402

EPOCHS = 5
EXAMPLES = 5000
MODELS = {
    "lenet": {"model": {"lenet_300_100": {}}, "dataset": "mnist", "batch_size": 60, "optimizer": {"adam": {"learning_rate": 0.0012}},
              "classifier": "layers.4"},
    "small_cnn": {"model": {"small_cnn": {}}, "dataset": "cifar10", "batch_size": 64,
                  "optimizer": {"sgd": {"learning_rate": 0.02, "momentum": 0.9}}, "classifier": "linear"},
}
# The published code's defaults ask for 100 to 500 iterations on batches of 128.
ONLY_SOME = {"iterations": 100}


def kinds(sources, classifier):
    """(name in the table, initializer, other fields of the spec)"""
    first, second = (f"{run}/epochs/{EPOCHS}" for run in sources)
    yield "framework default", {"framework_default": {}}, {}
    yield "framework default, warm-up of 1 epoch", {"framework_default": {}}, {"schedule": {"constant": {}, "warm_up": {"epochs": 1}}}
    for kind in ("xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal"):
        yield kind, {kind: {}}, {}
    yield "kaiming_normal, gain 1", {"kaiming_normal": {"gain": 1}}, {}
    for gain in (0.5, 2):
        yield f"xavier_normal, gain {gain}", {"xavier_normal": {"gain": gain}}, {}
    yield "orthogonal", {"orthogonal": {}}, {}
    yield "truncated_normal, 0.02", {"truncated_normal": {}}, {}
    yield "normal, N(0, 1)", {"normal": {}}, {}
    yield "uniform, U(0, 1)", {"uniform": {}}, {}
    yield "constant, 0.01", {"constant": {"value": 0.01}}, {}
    yield "for_layers: classifier N(0, 0.01²)", {"for_layers": {"names": [classifier], "initializer": {"normal": {"deviation": 0.01}}}}, {}
    yield "lsuv", {"lsuv": {}}, {}
    yield "metainit", {"chain": {"steps": [{"kaiming_normal": {}}, {"metainit": ONLY_SOME}]}}, {}
    yield "gradinit, SGD", {"chain": {"steps": [{"kaiming_normal": {}}, {"gradinit": {**ONLY_SOME, "max_gradient_norm": 1}}]}}, {}
    yield ("gradinit, Adam",
           {"chain": {"steps": [{"kaiming_normal": {}}, {"gradinit": {**ONLY_SOME, "step": "GRADINIT_ADAM", "step_size": 0.001}}]}}, {})
    yield "nio", {"chain": {"steps": [{"kaiming_normal": {}}, {"nio": {"max_gradient_norm": 10}}]}}, {}
    yield "orthogonal, then nio", {"chain": {"steps": [{"orthogonal": {}}, {"nio": {"max_gradient_norm": 10}}]}}, {}
    yield "ghn2, weights drawn, not trained", {"ghn2": {"weights": "imports/ghn2-random/epochs/0"}}, {}
    yield ("ghn2, then conditional_orthogonal",
           {"chain": {"steps": [{"ghn2": {"weights": "imports/ghn2-random/epochs/0"}}, {"conditional_orthogonal": {}}]}}, {})
    yield f"checkpoint, epoch {EPOCHS} of another seed", {"checkpoint": {"checkpoint": first}}, {}
    yield "mean of two such checkpoints", {"mean": {"checkpoints": [first, second]}}, {}
    yield "checkpoint, then shrink_perturb", {"chain": {"steps": [{"checkpoint": {"checkpoint": first}}, {"shrink_perturb": {}}]}}, {}
    yield "checkpoint, then keep_blocks 1", {"chain": {"steps": [{"checkpoint": {"checkpoint": first}}, {"keep_blocks": {"blocks": 1}}]}}, {}


def spec(job, **fields):
    return {"model": job["model"], "dataset": {job["dataset"]: {"train_examples": EXAMPLES, "validation_examples": 0}}, "epochs": EPOCHS,
            "batch_size": job["batch_size"], "optimizer": job["optimizer"], "evaluate": "TEST_EVERY_EPOCH", "evaluate_start": True, **fields}


def train(cluster, folder, name, training, seeds):
    """The training, once all its runs are over."""
    file = folder / "training.yaml"  # JSON is YAML.
    file.write_text(json.dumps({"display_name": name[:60], "training": training, "seeds": seeds}))
    created = cluster.rows("trainings", "create", "-f", file)[-1]["name"]
    cluster.headstart("trainings", "watch", created, "--quiet", check=False, seconds=3600)
    return cluster.rows("trainings", "get", created)[0]


def cell(runs, epoch, key, scale):
    values = [float(run["epochs"][epoch].get("measurement", {}).get(key, "nan")) * scale for run in runs if len(run.get("epochs", [])) > epoch]
    if not values or any(math.isnan(value) for value in values):
        return "-"
    spread = statistics.stdev(values) if len(values) > 1 else 0
    return f"{statistics.mean(values):.4g} ± {spread:.2g}"


def table(job, arguments):
    seeds = list(range(1, arguments.seeds + 1))
    header = [f"{what} {epoch}" for epoch in (0, 1, EPOCHS) for what in ("loss", "accuracy %")]
    with Folder() as folder:
        cluster = Cluster(folder, lease="30s", grace="10m", datasets=arguments.datasets).start()
        try:
            worker = wait_until(lambda: cluster.rows("workers", "list"), "worker")[0]
            if job["dataset"] not in worker.get("datasets", []):
                print(f"skipped: {arguments.datasets} has no {job['dataset']}; headstart datasets list says where to get it")
                return
            print(f"| initializer | {' | '.join(header)} | seconds | MB |")
            print("|---|" + "---|" * (len(header) + 2), flush=True)
            cluster.headstart("checkpoints", "import", ROOT / "tests/golden/ghn/ghn2_random_seed0.safetensors", "--name", "ghn2-random")
            source = train(cluster, folder, "sources", spec(job), [101, 102])
            for name, initializer, others in kinds([run["name"] for run in source["runs"]], job["classifier"]):
                training = train(cluster, folder, name, spec(job, initializer=initializer, **others), seeds)
                runs = [run for run in training["runs"] if run["state"] == "SUCCEEDED"]
                if not runs:
                    why = training["runs"][0].get("attempts", [{}])[-1].get("failure", {}).get("message", training["state"])
                    print(f"| {name} | {why} |" + " |" * (len(header) + 1), flush=True)
                    continue
                cells = [cell(runs, epoch, key, scale) for epoch in (0, 1, EPOCHS)
                         for key, scale in (("test_loss", 1), ("test_accuracy", 100))]
                seconds = statistics.mean(run["epochs"][0].get("seconds", {}).get("initialize", 0) for run in runs)
                memory = max(int(run["epochs"][0].get("peak_memory_bytes", 0)) for run in runs) / 1e6
                print(f"| {name} | {' | '.join(cells)} | {seconds:.2g} | {memory:.0f} |", flush=True)
        finally:
            cluster.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", default=DATASETS)
    parser.add_argument("--only", choices=sorted(MODELS))
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    for name, job in MODELS.items():
        if arguments.only in (None, name):
            print(f"\n{name} on {EXAMPLES} images of {job['dataset']}\n")
            table(job, arguments)


if __name__ == "__main__":
    main()
