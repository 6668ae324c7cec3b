#!/usr/bin/env python3
"""What pruning_mnist.py measured, beside the published numbers.

  python3 docs/experiments/pruning_mnist_compare.py published_code.json --figure pruning_mnist.svg
  python3 docs/experiments/pruning_mnist_compare.py pruning_mnist_corrected.json --figure pruning_mnist_corrected.svg
"""
import argparse
import json
import pathlib
import statistics

from local_cluster import draw

FOLDER = pathlib.Path(__file__).resolve().parent
NAMES = {"XN": "Xavier normal", "XU": "Xavier uniform", "KN": "Kaiming normal", "KU": "Kaiming uniform", "XNh": "Xavier normal, half",
         "XUh": "Xavier uniform, half", "XNd": "Xavier normal, double", "XUd": "Xavier uniform, double", "N01": "N(0, 1)", "U01": "U(0, 1)"}
SURVIVORS = [266610, 213288, 170631, 136507, 109208, 87369]  # And 3858 in the end: what the authors' rule leaves.
CELLS_DOWN_TO = 3.5  # Percent of weights left: below, runs scatter by several points.


def percents(study, scheme):
    """Test accuracies in percent: a list per level of one number per seed."""
    return [[100 * run[level][1] for run in study["schemes"][scheme]] for level in range(20)]


def compare(study, published):
    levels, means, deviations = (published[name] for name in ("levels_percent", "test_accuracy_mean", "test_accuracy_sample_deviation"))
    counted = [level for level in range(20) if levels[level] >= CELLS_DOWN_TO]
    differences, outside, below = [], [], []
    print("| scheme | " + " | ".join(f"{level:g}" for level in levels) + " |")
    print("|---|" + "---|" * 20)
    for scheme in study["schemes"]:
        ours = [statistics.mean(each) for each in percents(study, scheme)]
        print(f"| {NAMES[scheme]} | " + " | ".join(f"{each:.2f}" for each in ours) + " |")
        for level in range(20):
            difference = ours[level] - means[scheme][level]
            if level in counted:
                differences.append(difference)
                if abs(difference) > 3 * deviations[scheme][level]:
                    outside.append(f"{scheme} at {levels[level]:g} %: {ours[level]:.2f} beside {means[scheme][level]:.2f}")
            else:
                below.append(abs(difference) / deviations[scheme][level])
    inside = len(differences) - len(outside)
    print(f"\n{inside} of {len(differences)} cells ({100 * inside / len(differences):.1f} %) lie within 3 of the authors' deviations; mean signed "
          f"difference {statistics.mean(differences):+.3f} points")
    for each in outside:
        print(f"  outside: {each}")
    print(f"below {CELLS_DOWN_TO} %: {sum(each <= 3 for each in below)} of {len(below)} cells within 3 deviations")
    for scheme, runs in study["schemes"].items():
        for run in runs:
            shares = [round(level[0] * SURVIVORS[0]) for level in run]
            assert shares[:6] == SURVIVORS and shares[-1] == 3858, (scheme, shares)
    print("survivor counts of all runs: 266610, 213288, 170631, ..., 3858")


def spread(study, scheme):
    columns = percents(study, scheme)
    means = [statistics.mean(each) for each in columns]
    deviations = [statistics.stdev(each) if len(each) > 1 else 0 for each in columns]
    return means, [m - d for m, d in zip(means, deviations)], [min(m + d, 100) for m, d in zip(means, deviations)]


def figure(published, studies):
    levels = published["levels_percent"]

    def panel(title, lines):
        return {"title": title, "x": {"label": "weights left", "unit": "%", "scale": "log", "reversed": True,
                                      "ticks": [{"value": each, "label": f"{each:g}"} for each in (100, 51.2, 26.2, 13.4, 6.9, 3.5, 1.8)]},
                "y": {"label": "test accuracy", "unit": "%", "min": 92, "max": 98.6}, "lines": lines}

    def ours(study, scheme, style):
        means, low, high = spread(study, scheme)
        return {"name": NAMES[scheme], "x": levels, "y": means, "low": low, "high": high, "style": style}

    def theirs(scheme, style):
        means, deviations = published["test_accuracy_mean"][scheme], published["test_accuracy_sample_deviation"][scheme]
        return {"name": NAMES[scheme], "x": levels, "y": means, "low": [m - d for m, d in zip(means, deviations)],
                "high": [m + d for m, d in zip(means, deviations)], "style": style}
    main = ("XN", "XU", "KN", "KU")
    titles = {"published_code": "their code's protocol", "corrected": "as the text says"}
    panels = [panel("the authors' logs, 11 seeds", [theirs(scheme, i) for i, scheme in enumerate(main)])]
    panels += [panel(f"{titles[study['variant']]}, ours, {len(study['seeds'])} seeds", [ours(study, scheme, i) for i, scheme in enumerate(main)])
               for study in studies]
    return {"title": "Pruning LeNet-300-100 on MNIST", "subtitle": "mean and sample deviation over seeds, at the end of each level of five epochs",
            "panels": panels, "columns": len(panels), "width": 1200, "panel_height": 300, "shared_x": True, "shared_y": True}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", type=pathlib.Path, nargs="+", help="what pruning_mnist.py wrote")
    parser.add_argument("--figure", type=pathlib.Path)
    arguments = parser.parse_args()
    published = json.loads((FOLDER / "pruning_mnist_published.json").read_text())
    studies = [json.loads(study.read_text()) for study in arguments.studies]
    for study in studies:
        if study["variant"] == "published_code":
            compare(study, published)
            continue
        print("\n| as the text says | " + " | ".join(f"{level:g}" for level in published["levels_percent"]) + " |\n|---|" + "---|" * 20)
        for scheme in study["schemes"]:
            cells = percents(study, scheme)
            print(f"| {NAMES[scheme]} | " + " | ".join(f"{statistics.mean(each):.2f} ± {statistics.stdev(each):.2f}" for each in cells) + " |")
    if arguments.figure:
        draw(figure(published, studies), arguments.figure)


if __name__ == "__main__":
    main()
