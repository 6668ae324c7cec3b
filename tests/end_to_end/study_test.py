"""Small studies over real processes, as a user drives them. One test per name; see TESTS at the end.

  study_test.py NAME      runs one
"""
import json
import os
import pathlib
import shlex
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from harness import (BIN, DATASETS, ROOT, Cluster, Folder, Process, Refused, sha256, skip, small_study,  # noqa: E402
                     wait_until, write_study)

RANDOM = "random: {trial_count: 4}"
ASHA = "asha: {trial_count: 9, min_epochs: 1, reduction: 3}"
THEN = "then: [{from: {winner: {epoch: 1}}, epochs: 2, seeds: [42, 43]}]"


def running_cluster(folder, **flags):
    return Cluster(folder, **{k: v for k, v in flags.items() if k not in ("agents", "slots")}).start(
        agents=flags.get("agents", 1), slots=flags.get("slots", "cpu:1,cpu:1"))


def with_cluster(body, **flags):
    """Runs body(cluster, folder) and drains everything afterwards."""
    with Folder() as folder:
        cluster = running_cluster(folder, **flags)
        try:
            body(cluster, folder)
            cluster.stop()
        finally:
            cluster.kill()


def trial_of(checkpoint):
    return checkpoint.rsplit("/epochs/", 1)[0]


def tune_train_download():
    """Tune, train from the winner's epoch, see what retention keeps and why, download."""
    def body(cluster, folder):
        study = cluster.create_study(write_study(folder / "s.yaml", small_study(ASHA, epochs=9, best_trials=3, extra=THEN)))
        done = cluster.wait_study(study)
        assert done["state"] == "SUCCEEDED", done
        training = wait_until(lambda: (lambda t: t if t["state"] in ("SUCCEEDED", "FAILED") else None)(
            cluster.rows("trainings", "get", cluster.study(study)["trainings"][0])[0]), "end of the training")
        assert training["state"] == "SUCCEEDED", training
        assert training["source_checkpoint"] == f"{done['best_trial']}/epochs/1", training
        assert [int(run["seed"]) for run in training["runs"]] == [42, 43]

        # Both runs' epoch 0 is the winner's epoch 1, tensor by tensor.
        def tensors(checkpoint):
            manifest = cluster.rows("checkpoints", "get", checkpoint)[0]["manifest"]
            return {t["name"]: t.get("digest") or t.get("inlined") for t in manifest["tensors"]}
        for run in training["runs"]:
            assert tensors(run["name"] + "/epochs/0") == tensors(training["source_checkpoint"])

        # After the grace period just the best trials' epochs, sources and pins are left, and the rest is dead bytes.
        best = [row["name"] for row in cluster.rows("trials", "list", study, "--best", "3")]
        others = [name for name in sorted(cluster.stored(study)) if trial_of(name) not in best]
        pinned, source_of_mine = others[:2]
        cluster.headstart("checkpoints", "pin", pinned, "--reason", "kept by a test")
        cluster.headstart("trainings", "create", "--from", source_of_mine, "--epochs", "1", "--seeds", "5", "--watch")
        cluster.storage.stop()
        cluster.grace = "1s"
        cluster.start_storage()

        def collected():
            return all(trial_of(name) in best or name in (pinned, source_of_mine) for name in cluster.stored(study))
        wait_until(collected, "collection", 60)
        assert cluster.stored(study)[pinned][1] == ["PINNED"], cluster.stored(study)[pinned]
        assert cluster.stored(study)[source_of_mine][1] == ["SOURCE_OF"], cluster.stored(study)[source_of_mine]
        for trial in best:
            epochs = [int(e.get("epoch", 0)) for e in cluster.rows("trials", "get", trial)[0]["epochs"]]
            stored = [name for name in cluster.stored(study) if trial_of(name) == trial]
            assert len(stored) == len(epochs), (trial, stored, epochs)
        wait_until(lambda: int(cluster.rows("checkpoints", "usage")[0].get("dead_bytes", 0)) > 0, "dead bytes in usage", 60)

        # A training cannot lose its source, and its deletion lets it go.
        source = training["source_checkpoint"]
        assert "SOURCE_OF" in cluster.stored(study)[source][1]
        out = folder / "winner.safetensors"
        cluster.headstart("checkpoints", "download", f"{study}/winner/epochs/9", "-o", out)
        header_bytes = int.from_bytes(out.read_bytes()[:8], "little")
        header = json.loads(out.read_bytes()[8:8 + header_bytes])
        assert set(header) - {"__metadata__"} == {f"layers.{i}.{k}" for i in (0, 2, 4) for k in ("weight", "bias")}
        assert "input_transform" in header["__metadata__"], header["__metadata__"]
        assert not any(row.get("damaged") for row in cluster.rows("storage", "verify"))

        # Explained: a promoted and a stopped trial.
        kinds = {d["kind"]: d for t in cluster.rows("trials", "list", study)
                 for d in cluster.rows("trials", "explain", t["name"])[0]["decisions"]}
        assert {"STARTED", "PAUSED", "PROMOTED", "STOPPED", "COMPLETED"} <= set(kinds), set(kinds)
        for kind in ("PROMOTED", "STOPPED"):
            assert kinds[kind]["text"] and kinds[kind]["rule_version"], kinds[kind]
        replay = cluster.rows("studies", "replay", study)[0]
        assert int(replay["decisions_count"]) > 0 and not replay.get("differences"), replay
    # Nothing is collected before the test has looked and pinned.
    with_cluster(body, grace="1h")


def same_seed_same_digests():
    """The same study twice, in two data folders: same winner, same digests. Random on two slots, ASHA on one."""
    for method, epochs, slots in ((RANDOM, 2, "cpu:1,cpu:1"), (ASHA, 9, "cpu:1")):
        found = []
        for _ in range(2):
            def body(cluster, folder):
                study = cluster.create_study(write_study(folder / "s.yaml", small_study(method, epochs=epochs)))
                done = cluster.wait_study(study)
                assert done["state"] == "SUCCEEDED", done
                found.append((done["best_trial"], done["best_objective"], cluster.digests(study)))
            with_cluster(body, slots=slots)
        assert found[0] == found[1], f"{method}: {found[0]} and {found[1]}"
        assert len(found[0][2]) > 8


def two_agents():
    """Two agents on one machine share a study, and both train."""
    def body(cluster, folder):
        study = cluster.create_study(write_study(folder / "s.yaml", small_study("random: {trial_count: 8}")))
        assert cluster.wait_study(study)["state"] == "SUCCEEDED"
        workers = {a["worker"] for t in cluster.trials(study) for a in t["attempts"]}
        assert workers == {"workers/worker1", "workers/worker2"}, workers
        assert len(cluster.rows("workers", "list")) == 2
    with_cluster(body, agents=2, slots="cpu:1")


def life_cycle():
    """Pause, resume, cancel and delete a study that trains; each in the states where it is allowed and not."""
    def body(cluster, folder):
        def refused(*arguments, words):
            try:
                cluster.headstart(*arguments)
            except Refused as error:
                assert error.code == 1 and all(word in error.text for word in words), error.text
            else:
                raise AssertionError(f"{arguments} was not refused")

        text = small_study("random: {trial_count: 3}", epochs=60)
        study = cluster.create_study(write_study(folder / "s.yaml", text))
        wait_until(lambda: int(cluster.study(study).get("recorded_epochs", 0)) >= 2, "two epochs")
        refused("studies", "delete", study, words=["FAILED_PRECONDITION", study, "RUNNING", "cancel"])
        cluster.headstart("studies", "pause", study)
        wait_until(lambda: int(cluster.study(study)["trial_counts"].get("training", 0)) == 0, "hand-back after the epoch")
        assert cluster.study(study)["state"] == "PAUSED"
        before = int(cluster.study(study)["recorded_epochs"])
        digests = cluster.digests(study)
        cluster.headstart("studies", "pause", study)
        assert int(cluster.study(study)["recorded_epochs"]) == before, "a paused study trained on"
        cluster.headstart("studies", "resume", study)
        wait_until(lambda: int(cluster.study(study)["recorded_epochs"]) > before + 2, "more epochs")
        cluster.headstart("trials", "stop", f"{study}/trials/1")
        assert cluster.rows("trials", "get", f"{study}/trials/1")[0]["state"] == "STOPPED"
        refused("trials", "retry", f"{study}/trials/1", words=["FAILED_PRECONDITION", "STOPPED"])
        cluster.headstart("studies", "cancel", study)
        assert cluster.study(study)["state"] == "CANCELLED"
        after = cluster.digests(study)
        assert all(after[key] == digest for key, digest in digests.items())
        for verb in ("pause", "resume"):
            refused("studies", verb, study, words=["FAILED_PRECONDITION", study, "CANCELLED"])
        cluster.headstart("studies", "cancel", study)
        cluster.headstart("studies", "delete", study)
        refused("studies", "get", study, words=["NOT_FOUND", study])
        wait_until(lambda: not cluster.stored(), "forgetting of the deleted study's checkpoints", 60)
    with_cluster(body)


def attempt_states(cluster, study):
    return [attempt["state"] for trial in cluster.trials(study) for attempt in trial.get("attempts", [])]


def restart_of_everything():
    """All processes end in order and start again: the study goes on, with what it had, and no attempt is lost."""
    with Folder() as folder:
        cluster = running_cluster(folder)
        try:
            study = cluster.create_study(write_study(folder / "s.yaml", small_study("random: {trial_count: 2}", epochs=200)))
            def recorded():
                return int(cluster.study(study).get("recorded_epochs", 0))
            wait_until(lambda: recorded() >= 3, "three epochs")
            cluster.stop()
            cluster.start(agents=0)
            digests, before, states = cluster.digests(study), recorded(), attempt_states(cluster, study)
            assert cluster.study(study)["state"] == "RUNNING" and set(states) == {"RELEASED"}, states
            cluster.start_agent()
            wait_until(lambda: recorded() > before + 2, "more epochs than before the restart")
            after = cluster.digests(study)
            assert all(after[key] == digest for key, digest in digests.items())
            cluster.headstart("studies", "cancel", study)
            after = attempt_states(cluster, study)
            assert len(after) > len(states) and "LOST" not in after, after
            cluster.stop()
        finally:
            cluster.kill()


def run_interrupted():
    """Ctrl-C in `run`, then the command that it prints: the same digests as an uninterrupted run."""
    epochs = 40
    text = small_study("random: {trial_count: 4}", epochs=epochs)
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}

    def command(data, file):
        return ["headstart", "run", str(file), "--data", str(data), "--slots", "2", "--datasets", str(DATASETS),
                "--metrics-ports", "auto"]

    def finish(data, arguments):
        """Digests of the finished study, and how its attempts ended."""
        result = subprocess.run(arguments, capture_output=True, text=True, timeout=300, env=environment)
        assert result.returncode == 0, result.stdout + result.stderr
        assert "safetensors" in result.stdout, result.stdout
        return look(data, lambda cluster: (cluster.digests("studies/1"), attempt_states(cluster, "studies/1")))

    def look(data, question):
        """Asks the stopped cluster's data what they hold."""
        cluster = Cluster(data).start(agents=0)
        try:
            assert len(cluster.rows("studies", "list")) == 1
            return question(cluster)
        finally:
            cluster.stop()

    def interrupt(data, file):
        """Runs until some epochs are recorded; the command printed then, as a list."""
        child = subprocess.Popen(command(data, file), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                 start_new_session=True, env=environment)
        cluster = Cluster(data)
        def recorded():
            try:
                return int(cluster.study("studies/1").get("recorded_epochs", 0)) >= 4
            except (Refused, subprocess.TimeoutExpired):
                return False
        try:
            wait_until(lambda: recorded() or child.poll() is not None, "some epochs")
            child.send_signal(signal.SIGINT)
            output, _ = child.communicate(timeout=60)
        finally:
            child.kill()
        assert child.returncode == 1 and str(file) in output, f"no word on how to go on:\n{output}"
        state, states = look(data, lambda cluster: (cluster.study("studies/1")["state"],
                                                    attempt_states(cluster, "studies/1")))
        assert state == "RUNNING", f"the study was over before the interrupt: {state}"
        assert "RELEASED" in states and set(states) <= {"RELEASED", "SUCCEEDED"}, states
        return shlex.split(output.splitlines()[-1])

    with Folder() as one, Folder() as two:
        file = write_study(one / "s.yaml", text)
        whole, _ = finish(one / "data", command(one / "data", file))
        assert len(whole) == 4 * (epochs + 1)
        # A name that has to be quoted.
        data = two / "my data"
        printed = interrupt(data, file)
        assert printed == command(data, file), printed
        digests, states = finish(data, printed)
        assert digests == whole
        assert set(states) <= {"RELEASED", "SUCCEEDED"}, states


def up_and_client():
    """`up` in one terminal and the client in another: what `run` gives, and with a second agent on the same study."""
    text = small_study("random: {trial_count: 4}", epochs=3, extra=THEN)

    def result(output):
        """What a person reads at the end, without times and folders."""
        lines = output.splitlines()
        return [line for line in lines[next(i for i, line in enumerate(lines) if line.startswith("winner:")):]
                if not any(word in line for word in ("SUCCEEDED", "are in:", "fetch with:"))]

    with Folder() as one, Folder() as two:
        file = write_study(one / "s.yaml", text)
        ran = subprocess.run([str(BIN / "headstart"), "run", str(file), "--data", str(one / "data"), "--slots", "2",
                              "--datasets", str(DATASETS)], capture_output=True, text=True, timeout=300)
        assert ran.returncode == 0, ran.stdout + ran.stderr

        up = Process("up", [BIN / "headstart", "up", "--data", two, "--slots", "1", "--datasets", DATASETS,
                            "--metrics-ports", "auto"], two / "up.log")
        cluster = Cluster(two)
        try:
            wait_until(lambda: (two / "endpoints" / "metrics-worker").exists() or not up.alive(), "a worker of up", 60)
            cluster.start_agent("second", "cpu:1")
            wait_until(lambda: len(cluster.rows("workers", "list")) == 2, "two workers")
            watched = cluster.headstart("studies", "create", "-f", file, "--watch", seconds=300)
            assert result(watched.stdout) == result(ran.stdout), f"{watched.stdout}\n{ran.stdout}"
            training = cluster.study("studies/1")["trainings"][0]
            weights = next(line.split()[1] for line in ran.stdout.splitlines() if line.startswith("weights:"))
            assert weights.startswith(training), weights
            cluster.headstart("checkpoints", "download", weights, "-o", two / "weights.safetensors")
            in_run = next(line.split("are in:")[1].strip() for line in ran.stdout.splitlines() if "are in:" in line)
            assert sha256(two / "weights.safetensors") == sha256(in_run)
            cluster.agents["second"].stop()
            assert up.stop() == 0, (two / "up.log").read_text()[-2000:]
        finally:
            cluster.kill()
            up.kill()


def cifar10():
    """The small CNN on 5,000 images of CIFAR-10."""
    folder_of = os.environ.get("HEADSTART_CIFAR10", "")
    packed = ROOT.parent / "shared" / "data"
    with Folder() as datasets:
        if folder_of:
            source = pathlib.Path(folder_of)
        elif (packed / "unpack.py").exists():
            subprocess.run([sys.executable, str(packed / "unpack.py"), str(datasets)], check=True, stdout=subprocess.DEVNULL)
            source = datasets
        else:
            skip("CIFAR-10 is not here; set HEADSTART_CIFAR10 to a folder that holds cifar-10-batches-bin/")
        def body(cluster, folder):
            text = small_study("random: {trial_count: 2}", epochs=2).replace("lenet_300_100", "small_cnn").replace(
                "mnist: {train_examples: 1000, validation_examples: 200}",
                "cifar10: {train_examples: 5000, validation_examples: 1000}")
            study = cluster.create_study(write_study(folder / "s.yaml", text))
            done = cluster.wait_study(study, seconds=600)
            assert done["state"] == "SUCCEEDED", done
            # Ten classes: better than chance by far after two epochs.
            assert done["best_objective"] > 0.25, done["best_objective"]
        with_cluster(body, datasets=source)


TESTS = [tune_train_download, same_seed_same_digests, two_agents, life_cycle, restart_of_everything, run_interrupted,
         up_and_client, cifar10]

if __name__ == "__main__":
    by_name = {test.__name__: test for test in TESTS}
    if len(sys.argv) != 2 or sys.argv[1] not in by_name:
        sys.exit(f"usage: study_test.py {'|'.join(by_name)}")
    by_name[sys.argv[1]]()
    print(f"{sys.argv[1]}: passed")
