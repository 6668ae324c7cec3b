"""Real processes for the end-to-end and crash tests: start, kill, ask, compare.

A Cluster is one data folder with scheduler, storage and any number of agents, each a child of the test. Everything the
tests know they ask through the `headstart` program with --format json, as a user's script would. Standard library only.
"""
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("HEADSTART_BIN", ROOT / "build" / "dev" / "bin"))
DATASETS = pathlib.Path(os.environ.get("HEADSTART_TEST_DATASETS", ROOT / "examples" / "data"))
# What ctest reads as "skipped" (SKIP_RETURN_CODE).
SKIPPED = 77


def skip(reason):
    print(f"SKIPPED: {reason}", flush=True)
    sys.exit(SKIPPED)


def wait_until(condition, what, seconds=120.0):
    """Returns the condition's first true value; polls, since what it asks is another process."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"no {what} within {seconds:g} s")
        time.sleep(0.02)


class Refused(Exception):
    """The program ended with another exit code than 0."""

    def __init__(self, code, text):
        super().__init__(f"exit code {code}: {text}")
        self.code = code
        self.text = text


class Process:
    """One child whose output goes to a file."""

    def __init__(self, name, arguments, log):
        self.name = name
        self.log = log
        with open(log, "ab") as output:
            self.child = subprocess.Popen([str(a) for a in arguments], stdout=output, stderr=output,
                                          stdin=subprocess.DEVNULL, start_new_session=True)

    @property
    def pid(self):
        return self.child.pid

    def alive(self):
        return self.child.poll() is None

    def kill(self):
        if self.alive():
            self.child.kill()
        self.child.wait()

    def stop(self, seconds=30):
        """SIGTERM, the way that drains."""
        if self.alive():
            self.child.send_signal(signal.SIGTERM)
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise TimeoutError(f"{self.name} did not end within {seconds} s of SIGTERM; see {self.log}")


def children_of(pid):
    """Process ids of the direct children."""
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(word) for word in task.read_text().split()]
        except OSError:
            pass
    return found


class Cluster:
    """Scheduler, storage and agents on one data folder."""

    def __init__(self, folder, lease="2s", grace="1s", datasets=DATASETS, storage_flags=(), scheduler_flags=(),
                 agent_flags=()):
        self.folder = pathlib.Path(folder)
        self.lease = lease
        self.grace = grace
        self.datasets = datasets
        self.storage_flags = list(storage_flags)
        self.scheduler_flags = list(scheduler_flags)
        self.agent_flags = list(agent_flags)
        self.storage = None
        self.scheduler = None
        self.agents = {}
        for part in ("run", "endpoints", "log"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)

    # Servers.

    def start(self, agents=1, slots="cpu:1,cpu:1"):
        self.start_storage()
        self.start_scheduler()
        for number in range(1, agents + 1):
            self.start_agent(f"worker{number}", slots)
        return self

    def start_storage(self):
        self.storage = self._server("headstart-storage", "storage", [
            "--data", self.folder / "storage", "--listen", f"unix:{self.folder}/run/storage.sock",
            f"--grace-period={self.grace}", *self.storage_flags], "storage")

    def start_scheduler(self):
        self.scheduler = self._server("headstart-scheduler", "scheduler", [
            "--data", self.folder / "scheduler", "--listen", f"unix:{self.folder}/run/scheduler.sock",
            "--worker-listen", f"unix:{self.folder}/run/scheduler-worker.sock",
            "--storage", f"unix:{self.folder}/run/storage.sock",
            f"--lease-duration={self.lease}", *self.scheduler_flags], "scheduler")

    def start_agent(self, name="worker1", slots="cpu:1,cpu:1"):
        self.agents[name] = self._server("headstart-worker", f"metrics-{name}", [
            "--scheduler", f"unix:{self.folder}/run/scheduler-worker.sock", "--name", f"workers/{name}",
            "--slots", slots, "--datasets", self.datasets, "--data", self.folder / "worker" / name,
            *self.agent_flags], None, name)

    def _server(self, program, endpoint, flags, wait_for, name=None):
        log = self.folder / "log" / f"{name or program}.log"
        process = Process(name or program,
                          [BIN / program, *flags, "--endpoints",
                           self.folder / ("endpoints" if wait_for else f"endpoints-{name}"),
                           "--metrics-listen", "127.0.0.1:0"], log)
        if wait_for:
            file = self.folder / "endpoints" / wait_for
            # A file of the process before this one may still be there; it names the same socket.
            wait_until(lambda: file.exists() or not process.alive(), f"endpoint of {program}", 60)
            if not process.alive():
                raise RuntimeError(f"{program} ended at start:\n{log.read_text()[-2000:]}")
        return process

    def trainers(self):
        """(agent name, pid) of every trainer that runs."""
        return [(name, pid) for name, agent in self.agents.items() if agent.alive() for pid in children_of(agent.pid)]

    def stop(self):
        """Ends what runs, the way `headstart up` does: workers first."""
        for agent in self.agents.values():
            agent.stop()
        for server in (self.scheduler, self.storage):
            if server:
                server.stop()

    def kill(self):
        for process in [*self.agents.values(), self.scheduler, self.storage]:
            if process:
                process.kill()

    # Questions, through the program.

    def headstart(self, *arguments, check=True, seconds=120):
        result = subprocess.run([str(BIN / "headstart"), *map(str, arguments), "--data", str(self.folder)],
                                capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL)
        if check and result.returncode != 0:
            raise Refused(result.returncode, result.stderr + result.stdout)
        return result

    def rows(self, *arguments, check=True):
        """The JSON objects that a command prints, one per line."""
        return [json.loads(line) for line in
                self.headstart(*arguments, "--format", "json", check=check).stdout.splitlines() if line.strip()]

    def create_study(self, study_file):
        return self.rows("studies", "create", "-f", study_file)[-1]["name"]

    def study(self, name):
        return self.rows("studies", "get", name)[0]

    def wait_study(self, name, states=("SUCCEEDED", "FAILED", "CANCELLED"), seconds=300):
        def over():
            for agent in self.agents.values():
                if not agent.alive():
                    raise RuntimeError(f"{agent.name} ended by itself:\n{agent.log.read_text()[-2000:]}")
            try:
                study = self.study(name)
            except (Refused, subprocess.TimeoutExpired):
                return None  # The scheduler may be down at the moment.
            return study if study["state"] in states else None
        return wait_until(over, f"end of {name}", seconds)

    def trials(self, study):
        names = [row["name"] for row in self.rows("trials", "list", study)]
        return [self.rows("trials", "get", name)[0] for name in names]

    def digests(self, study):
        """{(trial, epoch): manifest digest} of everything the scheduler recorded."""
        return {(trial["name"], int(epoch.get("epoch", 0))): epoch["manifest_digest"]
                for trial in self.trials(study) for epoch in trial.get("epochs", [])}

    def stored(self, parent=""):
        """{checkpoint name: (manifest digest, reasons)} of everything storage keeps."""
        return {row["name"]: (row["manifest_digest"], sorted(r["reason"] for r in row.get("references", [])))
                for row in self.rows("checkpoints", "list", *([parent] if parent else []))}


def write_study(path, text):
    path = pathlib.Path(path)
    path.write_text(text)
    return path


def small_study(method, epochs=3, seed=7, best_trials=2, examples=1000, extra="", retries=1000):
    """LeNet on the first `examples` of MNIST: a study that takes seconds."""
    return f"""\
display_name: small
training:
  model: {{lenet_300_100: {{}}}}
  dataset: {{mnist: {{train_examples: {examples}, validation_examples: {examples // 5}}}}}
  epochs: {epochs}
  batch_size: 50
  optimizer: {{adam: {{learning_rate: 0.001}}}}
search:
  parameters:
    - {{path: optimizer.adam.learning_rate, double: {{min: 1.0e-4, max: 1.0e-2, scale: LOG}}}}
    - {{path: batch_size, integer_list: {{values: [25, 50, 100]}}}}
    - {{path: initializer, choice: {{values: [{{xavier_normal: {{}}}}, {{kaiming_uniform: {{}}}}, {{framework_default: {{}}}}]}}}}
  {method}
objective: {{metric: VALIDATION_ACCURACY, goal: MAXIMIZE}}
retention: {{best_trials: {best_trials}}}
failure_policy: {{max_retries: {retries}, max_losses: {retries}}}
seed: {seed}
{extra}"""


class Folder:
    """A temporary folder with a short path (Unix socket names are limited), removed unless the test failed."""

    def __enter__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="hs-"))
        return self.path

    def __exit__(self, kind, value, trace):
        if kind is None or (kind is SystemExit and value.code in (0, SKIPPED)):
            shutil.rmtree(self.path, ignore_errors=True)
        else:
            print(f"left for a look: {self.path}", flush=True)


def sha256(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def train_alone(folder, model, image_size, epochs, from_epoch=0, resumed=None):
    """Trains on a few synthetic images of three channels and ten classes, without a cluster: folder/epoch-<e>.safetensors
    and .resume.safetensors. To go on after from_epoch, `resumed` is the folder that has it."""
    # A complete spec, of which this sets what it cares for.
    spec = {
        **json.loads((ROOT / "tests" / "golden" / "training_spec_full.json").read_text())[1], "model": model,
        "dataset": {"synthetic": {"train_examples": 30, "test_examples": 10, "channels": 3, "image_size": image_size,
                                  "classes": 10, "seed": 1, "validation_examples": 10, "split_seed": 1}},
        "epochs": epochs, "batch_size": 8, "schedule": {"constant": {}}, "initializer": {"framework_default": {}},
        "evaluate": "TEST_NEVER"}
    run = "trainings/1/runs/1"
    folder.mkdir(exist_ok=True)
    (folder / "assignment.json").write_text(json.dumps(
        {"type": "assign", "run": run, "attempt": 1, "training": spec, "seed": 5, "from_epoch": from_epoch,
         "until_epoch": epochs, "sources": []}))
    sources = []
    if resumed is not None:
        for part in ("", ".resume"):
            sources += ["--source", f"{run}/epochs/{from_epoch}={resumed}/epoch-{from_epoch}{part}.safetensors"]
    subprocess.run([BIN / "headstart-trainer", "--assignment", folder / "assignment.json", "--output", folder,
                    "--threads", "1", *sources], check=True, stdout=subprocess.DEVNULL)
