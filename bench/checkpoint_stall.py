#!/usr/bin/env python3
"""How long a checkpoint stops training: ours beside torch.save, PyTorch's distributed checkpoint and memcpy.

    python3 bench/checkpoint_stall.py [--rounds 3] [--peers checkpoint_stall.py --python PYTHON]

Ours is build/release/bench/checkpoint_bench. --peers is a program that takes --method, --model and --out and prints a JSON line
with stall_ms; without it only ours is measured. Rounds are interleaved; the table has medians over rounds.
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
    arguments = parser.parse_args()
    stalls, details = {}, {}
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
    methods = ["headstart", "memcpy"] + (METHODS if arguments.peers else [])
    print("| model | MB | " + " | ".join(f"{method} ms" for method in methods) + " |")
    print("|" + "---|" * (len(methods) + 2))
    for model in details:
        row = [f"{statistics.median(stalls[model, method]):.3f}" for method in methods]
        print(f"| {model} | {details[model]['tensor_mb']:.1f} | " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
