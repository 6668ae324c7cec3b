#!/usr/bin/env python3
"""How long a checkpoint stops training: ours beside torch.save, PyTorch's distributed checkpoint and memcpy.

    python3 bench/checkpoint_stall.py [--rounds 3] [--peers checkpoint_stall.py --python PYTHON] [--datasets DIR]

Ours is build/release/bench/checkpoint_bench. --peers is a program that takes --method, --model and --out and prints a JSON line
with stall_ms, slowdown_ms and durable_ms; without it only ours is measured. Rounds are interleaved; the table has medians over rounds.
With --datasets, a folder with mnist/, a second table follows: what an epoch loses beside the storing until that is durable
(build/release/bench/trainer_bench, which trains and stores for real), and the same of the peers' loop, each with its control.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
METHODS = ["copy", "torch_save_fsync", "dcp_async"]
MODELS = ["lenet", "resnet18", "gpt100m"]
# What our trainer stores beside what the peers do: it trains models of its own.
OURS_STORED = {"lenet": "lenet", "resnet18": "resnet18", "gpt100m": "convnext_base"}


def lines(command):
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--ours", default=str(ROOT / "build" / "release" / "bench" / "checkpoint_bench"))
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--ours-stored", default=str(ROOT / "build" / "release" / "bench" / "trainer_bench"))
    parser.add_argument("--datasets")
    arguments = parser.parse_args()
    stalls, stored, details = {}, {}, {}
    for model in arguments.models.split(","):
        for _ in range(arguments.rounds):
            ours = lines([arguments.ours, "--models", model])[0]
            print(json.dumps(ours), flush=True)
            stalls.setdefault((model, "headstart"), []).append(ours["stall_ms"])
            stalls.setdefault((model, "memcpy"), []).append(ours["memcpy_ms"])
            details[model] = ours
            for method in METHODS if arguments.peers else []:
                with tempfile.TemporaryDirectory(prefix="headstart-stall-") as folder:
                    peer = lines([arguments.python, arguments.peers, "--method", method, "--model", model, "--out", folder])[-1]
                print(json.dumps(peer), flush=True)
                stalls.setdefault((model, method), []).append(peer["stall_ms"])
                stored.setdefault((model, method), []).append(peer)
    methods = ["headstart", "memcpy"] + (METHODS if arguments.peers else [])
    print("| model | MB | " + " | ".join(f"{method} ms" for method in methods) + " |")
    print("|" + "---|" * (len(methods) + 2))
    for model in details:
        row = [f"{statistics.median(stalls[model, method]):.3f}" for method in methods]
        print(f"| {model} | {details[model]['tensor_mb']:.1f} | " + " | ".join(row) + " |")
    if arguments.datasets:
        print_stored(arguments, stored, list(details))


def print_stored(arguments, stored, models):
    """The table of slowdowns until durable."""
    rows = []
    for model in models:
        ours = lines([arguments.ours_stored, "--trials", "0", "--models", OURS_STORED[model], "--datasets", arguments.datasets])[0]
        print(json.dumps(ours), flush=True)
        rows.append((model, f"headstart ({ours['model']}, {ours['tensor_mb']:.0f} MB)", ours["slowdown_ms"], ours["durable_ms"], ours["control_ms"]))
        if not arguments.peers:
            continue
        with tempfile.TemporaryDirectory(prefix="headstart-stall-") as folder:
            none = lines([arguments.python, arguments.peers, "--method", "none", "--model", model, "--out", folder])[-1]
        print(json.dumps(none), flush=True)
        for method in METHODS[1:]:
            runs = stored[model, method]
            stall, slowdown, durable = (statistics.median(run[key] for run in runs) for key in ("stall_ms", "slowdown_ms", "durable_ms"))
            rows.append((model, f"{method} (stall {stall:.1f} ms on top)", slowdown, durable, none["slowdown_ms"]))
    print("| model | saver | slowdown ms | durable after ms | control ms |")
    print("|---|---|---|---|---|")
    for model, saver, *figures in rows:
        print(f"| {model} | {saver} | " + " | ".join(f"{figure:.1f}" for figure in figures) + " |")


if __name__ == "__main__":
    main()
