#!/usr/bin/env python3
"""The trainer's loop against PyTorch's, in interleaved triples: ours, plain, fused.

    python3 bench/train_bench.py [--jobs lenet,small_cnn,resnet18] [--pairs 7] [--threads 1] [--python PYTHON]

The figure is the time of an epoch: of each program's epochs after its first, which warms up, the median. --python has torch
and NumPy. Prints a line per run as JSON, and at the end a table of medians.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]


def epoch_seconds(command):
    run = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    print(json.dumps(run), flush=True)
    return statistics.median(run["train_s"][1:])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", default="lenet,small_cnn,resnet18")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--ours", default=str(ROOT / "build" / "release" / "bin" / "headstart-train-bench"))
    arguments = parser.parse_args()
    table = []
    for job in arguments.jobs.split(","):
        options = ["--job", job, "--threads", str(arguments.threads), "--epochs", "3"]
        loop = [arguments.python, str(ROOT / "bench" / "pytorch_loop.py"), *options]
        ours = [arguments.ours, *options, "--datasets", str(ROOT / "examples" / "data")]
        rows = [[epoch_seconds(command) for command in (ours, loop, [*loop, "--fused"])] for _ in range(arguments.pairs)]
        table.append(f"| {job} | " + " | ".join(f"{statistics.median(column):.3f}" for column in zip(*rows)) + " | " +
                     " | ".join(f"**{statistics.median(row[0] / row[at] for row in rows):.2f}**" for at in (1, 2)) + " |")
    print("| job | headstart s | PyTorch s | fused s | ratio to plain | ratio to fused |\n|---|---|---|---|---|---|")
    print("\n".join(table))


if __name__ == "__main__":
    main()
