#!/usr/bin/env python3
"""Writes per_run.csv from the published CSVs: what each run of the paper reached.

    python3 tests/oracles/hp_init_paper/make_per_run.py PaperCSVs > tests/oracles/hp_init_paper/per_run.csv
"""
import csv
import pathlib
import re
import sys

# Folder, and the accuracy in percent at which the paper takes its time.
EXPERIMENTS = [("res18-c10", 90), ("res18-c100", 75), ("res18-tinyimagenet", 40), ("res152-c100", 75),
               ("inceptionv3-food101", 70)]


def start_of(name):
    """2, 5, ..., final or random."""
    epoch = re.search(r"hp-epoch-(\d+)", name)
    return epoch[1] if epoch else "final" if "final" in name else "random"


def main(folder):
    print("experiment;start;target;best;last;tta")
    for experiment, target in EXPERIMENTS:
        starts = {start_of(path.name): path for path in sorted((folder / experiment).iterdir())}
        for start in sorted(starts, key=lambda name: (name == "random", name == "final", name.zfill(3))):
            best, last, tta = [], [], []
            for row in csv.DictReader(starts[start].open()):
                texts = [row[f"epoch_{epoch}"] for epoch in range(1, int(row["num_epochs"]) + 1)]
                values = [float(text) for text in texts]
                best.append(repr(max(values)))
                last.append(repr(values[-1]))
                tta.append(str(next(i for i, value in enumerate(values, 1) if value >= target)))
            print(experiment, start, target, " ".join(best), " ".join(last), " ".join(tta), sep=";")


main(pathlib.Path(sys.argv[1]))
