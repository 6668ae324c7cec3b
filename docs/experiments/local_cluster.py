"""A cluster on this machine, and trainings on it that are made once, whatever happens between two starts of an experiment."""
import hashlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = pathlib.Path(os.environ.get("HEADSTART_BIN", ROOT / "build" / "release" / "bin"))


class Cluster:
    """`headstart up` on a folder, and questions to it. Ends with the `with` statement, also after SIGTERM."""

    def __init__(self, folder, datasets, slots):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
        with open(self.folder / "up.log", "ab") as log:
            self.child = subprocess.Popen([str(PROGRAMS / "headstart"), "up", "--data", str(self.folder), "--datasets", str(datasets),
                                           "--slots", str(slots), "--metrics-ports", "auto"], stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def __enter__(self):
        listing = [str(PROGRAMS / "headstart"), "workers", "list", "--data", str(self.folder)]
        while subprocess.run(listing, capture_output=True, check=False).returncode != 0:
            if self.child.poll() is not None:
                sys.exit(f"headstart up ended; see {self.folder / 'up.log'}")
            time.sleep(0.2)
        return self

    def __exit__(self, *_):
        self.child.send_signal(signal.SIGTERM)
        self.child.wait()

    def ask(self, *arguments):
        """The objects that a command prints."""
        told = subprocess.run([str(PROGRAMS / "headstart"), *map(str, arguments), "--data", str(self.folder), "--format", "json"],
                              capture_output=True, text=True, check=False)
        if told.returncode != 0:
            sys.exit(told.stderr)
        return [json.loads(line) for line in told.stdout.splitlines()]

    def train(self, trainings):
        """The runs of each of {title: training}, when all are over. One whose title is there already is not made again."""
        there = {training["display_name"]: training["name"] for training in self.ask("trainings", "list")}
        titles = {title: f"{title} {hashlib.sha256(json.dumps(training, sort_keys=True).encode()).hexdigest()[:8]}"
                  for title, training in trainings.items()}  # Other settings are another training.
        there = {title: there[named] for title, named in titles.items() if named in there}
        for title, training in trainings.items():
            if title not in there:
                file = self.folder / "training.yaml"  # JSON is YAML.
                file.write_text(json.dumps({"display_name": titles[title], **training}))
                there[title] = self.ask("trainings", "create", "-f", file)[-1]["name"]
        total = sum(training["training"]["epochs"] * len(training["seeds"]) for training in trainings.values())
        said = None
        while True:
            rows = {training["name"]: training for training in self.ask("trainings", "list")}
            runs = [run for title in trainings for run in rows[there[title]]["runs"]]
            over = sum(run["state"] not in ("WAITING", "TRAINING") for run in runs)
            epochs = sum(int(run.get("epoch", 0)) for run in runs)
            if (over, epochs * 50 // total) != said:
                said = (over, epochs * 50 // total)
                print(f"{over} of {len(runs)} runs over, {epochs} of {total} epochs", flush=True)
            if over == len(runs):
                break
            time.sleep(2)
        failed = [run["name"] for run in runs if run["state"] != "SUCCEEDED"]
        if failed:
            sys.exit(f"not finished: {', '.join(failed)}")
        return {title: self.ask("trainings", "get", there[title])[0]["runs"] for title in trainings}


def draw(figure, path):
    """Makes an SVG of a figure (client/plot/figure_json.h)."""
    drawn = subprocess.run([str(PROGRAMS / "headstart-draw")], input=json.dumps(figure), capture_output=True, text=True, check=False)
    if drawn.returncode != 0:
        sys.exit(drawn.stderr)
    pathlib.Path(path).write_text(drawn.stdout)
