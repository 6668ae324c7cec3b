#!/usr/bin/env python3
"""How long slots were idle while a comparison had work for them.

    headstart up --data DIR &
    python3 bench/idle_slots.py --data DIR comparisons/1 [--headstart PROGRAM]

From the first attempt of the comparison's runs to the begin of its last one there always was a run that waited, so each slot that trained
for it should have been busy. What is left is the time from the end of an attempt, as the scheduler recorded it, to the next lease of that
slot: a report, an answer, and nothing else. Beside it, how much of the leased time went into what epochs say they did (training,
measuring, initializing, waiting for slabs); the rest is an agent and a trainer learning of their next run, and reading data.
"""
import argparse
import collections
import datetime
import json
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[1]


def instant(text):
    whole, _, rest = text.rstrip("Z").partition(".")
    return datetime.datetime.fromisoformat(whole).timestamp() + float(f"0.{rest or 0}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("comparison", help="its full name, such as comparisons/1")
    parser.add_argument("--data", required=True, help="the data folder of a cluster that runs")
    parser.add_argument("--headstart", default=str(ROOT / "build" / "release" / "bin" / "headstart"))
    arguments = parser.parse_args()

    def ask(*words):
        command = [arguments.headstart, *words, "--data", arguments.data, "--format", "json"]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    in_phases = 0.0
    busy = collections.defaultdict(list)
    for arm in ask("comparisons", "get", arguments.comparison)["arms"]:
        for run in ask("trainings", "get", arm["training_name"])["runs"]:
            in_phases += sum(value for epoch in run["epochs"] for value in epoch.get("seconds", {}).values())
            for attempt in run["attempts"]:
                busy[attempt["worker"], attempt["slot"]].append((instant(attempt["start_time"]), instant(attempt["end_time"])))
    begin = min(start for spans in busy.values() for start, _ in spans)
    end = max(start for spans in busy.values() for start, _ in spans)
    worked = sum(max(0.0, min(stop, end) - start) for spans in busy.values() for start, stop in spans)
    possible = (end - begin) * len(busy)
    leased = sum(stop - start for spans in busy.values() for start, stop in spans)
    attempts = sum(len(spans) for spans in busy.values())
    print(f"{attempts} attempts in {len(busy)} slots, {end - begin:.1f} s in which a run waited: idle {100 * (1 - worked / possible):.2f} %, "
          f"{1000 * (possible - worked) / attempts:.0f} ms an attempt; of the leased {leased:.1f} s {100 * in_phases / leased:.1f} % in epochs")


if __name__ == "__main__":
    main()
