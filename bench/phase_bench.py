#!/usr/bin/env python3
"""What pruning and stages cost beside training itself.

    python3 bench/phase_bench.py [--pairs 7] [--ours PROGRAM]

Interleaved pairs of LeNet on MNIST (batch 60, Adam, one thread): an epoch with masks that are applied after each step, to the same
epoch without. The limit is one more pass over weights and a mask of a byte each per step: 266,200 * (4 + 4 + 1) bytes are 2.4 MB, which
lie in a core's cache; at 20 GB/s that is 0.12 ms beside a step of 1 ms. And the seconds between two stages of each method: a model is
built and drawn once more, and copied.
"""
import argparse
import json
import pathlib
import statistics
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[1]
PRUNING = {"epochs_per_level": 3, "rate": 0.2, "scope": "PRUNE_BY_TENSOR", "rounding": "ROUND_DOWN", "order": "SMALLEST_MAGNITUDE", "biases": True,
           "reset": "RESET_TO_START", "rewind_epoch": 0, "reset_optimizer": True}
SHARED = {"reset_optimizer": True, "growing_data": False}
SHRINK = {"count": 3, "shrink_perturb": {"shrink": 0.4, "perturb": 0.1}, **SHARED}
STAGES = {"shrink and perturb": SHRINK,
          "shrink and perturb, cached targets": {**SHRINK, "distillation": {"weight": 1, "targets": "CACHED"}},
          "layer-wise": {"layer_wise": {"blocks": 3, "repeats": 1, "rescale": "RESCALE_LAYERS", "normalization": "NORMALIZE_CHANNELS"}, **SHARED}}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--ours", default=str(ROOT / "build" / "release" / "bin" / "headstart-train-bench"))
    arguments = parser.parse_args()

    def run(job, **fields):
        command = [arguments.ours, "--job", job, "--epochs", "3", "--datasets", str(ROOT / "examples" / "data"), "--fields", json.dumps(fields)]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])

    rows = []
    for _ in range(arguments.pairs):
        rows.append([statistics.median(each["train_s"][1:]) for each in (run("lenet"), run("lenet", pruning=PRUNING))])
        print(f"dense {rows[-1][0]:.3f} s, with masks {rows[-1][1]:.3f} s", flush=True)
    dense, masked = (statistics.median(column) for column in zip(*rows))
    print(f"\n| epoch of LeNet | dense s | with masks s | ratio |\n|---|---|---|---|\n| median of {arguments.pairs} pairs | {dense:.3f} | {masked:.3f} | "
          f"**{statistics.median(row[1] / row[0] for row in rows):.2f}** |\n")
    print("| between two stages | LeNet s | small CNN s |\n|---|---|---|")
    for name, stages in STAGES.items():
        cells = [max(run(job, stages=stages)["initialize_s"]) for job in ("lenet", "small_cnn")]
        print(f"| {name} | " + " | ".join(f"{cell:.4f}" for cell in cells) + " |", flush=True)


if __name__ == "__main__":
    main()
