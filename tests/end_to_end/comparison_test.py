"""A study and its comparison in one file, over real processes, to the report."""
import csv
import io
import json
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from harness import BIN, DATASETS, Cluster, Folder, Refused, small_study, write_study  # noqa: E402

COMPARISON = """\
then:
  - comparison:
      display_name: which start
      arms:
        - {label: random, initializer: {framework_default: {}}}
        - {epochs: [1, final]}
      epochs: 3
      seeds: [42, 43, 44]
      metric: TEST_ACCURACY
      target_accuracy: 0.3
"""
LABELS = ["random", "epoch 1", "final"]


def report(cluster, form, *more):
    return cluster.headstart("comparisons", "report", "comparisons/1", "--format", form, *more).stdout


def check_numbers(cluster):
    """The report's figures are those of the runs, worked out here once more."""
    told = json.loads(report(cluster, "json"))
    assert [arm["label"] for arm in told["arms"]] == LABELS, told
    for arm in told["arms"]:
        runs = cluster.rows("trainings", "get", arm["training"])[0]["runs"]
        assert [run["seed"] for run in runs] == [run["seed"] for run in arm["runs"]]
        best = [max(epoch["measurement"]["test_accuracy"] for epoch in run["epochs"] if int(epoch["epoch"]) > 0) for run in runs]
        mean = sum(best) / len(best)
        assert abs(arm["best"]["mean"] - mean) < 1e-12, arm
        deviation = (sum((each - mean) ** 2 for each in best) / (len(best) - 1)) ** 0.5
        assert abs(arm["best"]["standard_deviation"] - deviation) < 1e-12, arm
    baseline, *others = told["arms"]
    assert baseline["is_baseline"] and "best_comparison" not in baseline
    assert all(0 <= arm["best_comparison"]["paired_t"]["p"] <= arm["best_comparison"]["paired_t"]["holm_p"] <= 1 for arm in others)
    assert told["summary"], told
    rows = list(csv.DictReader(io.StringIO(report(cluster, "csv"))))
    assert len(rows) == 9 and {row["arm"] for row in rows} == set(LABELS), rows
    assert "epoch 1" in report(cluster, "markdown")


def main():
    with Folder() as folder:
        file = write_study(folder / "s.yaml", small_study("random: {trial_count: 2}", epochs=2, examples=500, extra=COMPARISON))
        data = folder / "data"
        ran = subprocess.run([str(BIN / "headstart"), "run", str(file), "--data", str(data), "--slots", "2", "--datasets", str(DATASETS),
                              "--metrics-ports", "auto"], capture_output=True, text=True, timeout=300,
                             env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"})
        assert ran.returncode == 0, ran.stdout + ran.stderr
        page = data / "results" / "comparisons-1.html"
        assert page.exists() and str(page) in ran.stdout, ran.stdout
        assert "trained with" in page.read_text() and "libtorch" in page.read_text(), "the page does not say what trained the runs"
        assert "</html>" in page.read_text() and "://" not in page.read_text().replace("http://www.w3.org/", "")

        cluster = Cluster(data).start(agents=0)
        try:
            comparison = cluster.rows("comparisons", "get", "comparisons/1")[0]
            assert comparison["state"] == "SUCCEEDED" and comparison["study"] == "studies/1", comparison
            check_numbers(cluster)
            written = folder / "report.md"
            report(cluster, "markdown", "-o", written)
            assert written.read_text().strip() == report(cluster, "markdown").strip()
            assert cluster.rows("comparisons", "list")[0]["name"] == "comparisons/1"
            study_page = folder / "study.html"
            cluster.headstart("studies", "report", "studies/1", "-o", study_page)
            assert "studies/1/trials/2" in study_page.read_text()
            rows = list(csv.DictReader(io.StringIO(cluster.headstart("studies", "report", "studies/1", "--format", "csv").stdout)))
            assert len(rows) == 2, rows
            for refused in (("trainings", "delete", "trainings/1"), ("studies", "delete", "studies/1")):
                try:
                    cluster.headstart(*refused)
                    raise AssertionError(f"{refused} was allowed")
                except Refused as error:
                    assert "Delete that" in error.text, error
            cluster.headstart("comparisons", "delete", "comparisons/1")
            assert cluster.rows("trainings", "list") == []
            cluster.headstart("studies", "delete", "studies/1")
        finally:
            cluster.stop()
    print("ok")


if __name__ == "__main__":
    main()
