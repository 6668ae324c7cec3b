#!/usr/bin/env python3
"""A whole study against the same epochs in a bare trainer loop, in pairs.

LeNet-300-100 on MNIST (55,000 + 5,000 examples), 27 trials, ASHA 1-3-9, two slots of one thread, weights and Adam state stored
after every epoch. One pair is:

  study   create the study in a running cluster and wait for its end; memory of every process is sampled meanwhile
  bare    headstart-bare-loop trains the same (batch size, epochs) legs, shared out over two processes at once, with
          nothing stored and nobody asked

The figure is study / bare, per pair; the last line is the median. Sketch of the limit: 63 epochs and more (ASHA promotes
some early), each with one upload of 3.2 MB (hash 2 ms, append and fsync 10 ms) in another process on the same two cores,
so a few per cent; the rest is the first second of a trainer and the tail in which one slot idles.

    python3 bench/whole_study.py [--pairs 3] [--trials 27]
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
os.environ.setdefault("HEADSTART_BIN", str(ROOT / "build" / "release" / "bin"))
sys.path.insert(0, str(ROOT / "tests" / "end_to_end"))
from harness import BIN, DATASETS, Cluster, Folder, children_of, wait_until, write_study  # noqa: E402

STUDY = """\
display_name: whole-study benchmark
training:
  model: {{lenet_300_100: {{}}}}
  dataset: {{mnist: {{validation_examples: 5000}}}}
  epochs: 9
  batch_size: 128
  optimizer: {{adam: {{learning_rate: 0.001}}}}
search:
  parameters:
    - {{path: optimizer.adam.learning_rate, double: {{min: 1.0e-4, max: 1.0e-1, scale: LOG}}}}
    - {{path: batch_size, integer_list: {{values: [60, 128, 256]}}}}
    - path: initializer
      choice: {{values: [{{xavier_normal: {{}}}}, {{xavier_uniform: {{}}}}, {{kaiming_normal: {{}}}}, {{kaiming_uniform: {{}}}}]}}
  asha: {{trial_count: {trials}, min_epochs: 1, reduction: 3}}
objective: {{metric: VALIDATION_ACCURACY, goal: MAXIMIZE}}
retention: {{best_trials: 3}}
seed: {seed}
"""


class Memory(threading.Thread):
    """Largest proportional set size (shared pages counted once) of each part, in bytes."""

    def __init__(self, cluster):
        super().__init__(daemon=True)
        self.cluster = cluster
        self.largest = {}
        self.over = threading.Event()

    def run(self):
        while not self.over.wait(0.5):
            agents = [agent.pid for agent in self.cluster.agents.values()]
            parts = {"scheduler": [self.cluster.scheduler.pid], "storage": [self.cluster.storage.pid], "agent": agents,
                     "trainers": [pid for agent in agents for pid in children_of(agent)]}
            sizes = {part: sum(map(proportional_bytes, pids)) for part, pids in parts.items()}
            sizes["all"] = sum(sizes.values())
            for part, size in sizes.items():
                self.largest[part] = max(self.largest.get(part, 0), size)


def proportional_bytes(pid):
    try:
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def study_seconds(trials, seed):
    """(seconds from submit to winner, [(batch size, epochs)], memory, winner's accuracies)"""
    with Folder() as folder:
        cluster = Cluster(folder, lease="30s", grace="10m").start()
        try:
            wait_until(lambda: cluster.rows("workers", "list"), "worker")
            memory = Memory(cluster)
            memory.start()
            began = time.perf_counter()
            name = cluster.create_study(write_study(folder / "study.yaml", STUDY.format(trials=trials, seed=seed)))
            # One process that waits, as a user's would: polling would take its share of the two cores.
            cluster.headstart("studies", "watch", name, "--quiet", seconds=1800)
            seconds = time.perf_counter() - began
            memory.over.set()
            memory.join()
            legs = [(int(trial["training"]["batch_size"]), int(trial["epoch"])) for trial in cluster.trials(name)]
            best = cluster.rows("trials", "get", f"{name}/winner")[0]["epochs"][-1]["measurement"]
            cluster.stop()
            return seconds, legs, memory.largest, best
        finally:
            cluster.kill()


def bare_seconds(legs):
    """Seconds for the same epochs in two bare loops at once, each process starting with about half of the steps."""
    shares = [[], []]
    work = [0.0, 0.0]
    for batch, epochs in sorted(legs, key=lambda leg: -leg[1] / leg[0]):
        lighter = work.index(min(work))
        shares[lighter].append(f"{batch}:{epochs}")
        work[lighter] += epochs * (1 + 55000 / batch)
    began = time.perf_counter()
    loops = [subprocess.Popen([str(BIN / "headstart-bare-loop"), "--datasets", str(DATASETS), "--threads", "1",
                               "--legs", ",".join(share)], stdout=subprocess.DEVNULL) for share in shares if share]
    codes = [loop.wait() for loop in loops]
    assert not any(codes), codes
    return time.perf_counter() - began


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--trials", type=int, default=27)
    arguments = parser.parse_args()
    ratios = []
    for pair in range(1, arguments.pairs + 1):
        seconds, legs, memory, best = study_seconds(arguments.trials, seed=pair)
        bare = bare_seconds(legs)
        ratios.append(seconds / bare)
        print(json.dumps({
            "pair": pair, "study_s": round(seconds, 2), "bare_s": round(bare, 2), "ratio": round(ratios[-1], 3),
            "epochs": sum(epochs for _, epochs in legs), "best_validation_accuracy": best["validation_accuracy"],
            "its_test_accuracy": best.get("test_accuracy"),
            **{f"{part}_mb": round(size / 1e6, 1) for part, size in sorted(memory.items())}}), flush=True)
    print(json.dumps({"median_ratio": round(statistics.median(ratios), 3), "pairs": len(ratios)}))


if __name__ == "__main__":
    main()
