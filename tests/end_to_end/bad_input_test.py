"""Every bad input that a user is likely to make: exit code, status code, and the words that help. Nothing half-created."""
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from harness import BIN, Cluster, Folder, Process, small_study, wait_until, write_study  # noqa: E402

GOOD = small_study("asha: {trial_count: 9, min_epochs: 1, reduction: 3}", epochs=9)


def changed(old, new):
    assert old in GOOD, old
    return GOOD.replace(old, new)


# (what, study file, exit code, words that the answer holds)
STUDIES = [
    ("unknown field", changed("epochs: 9", "epochs: 9\n  epoch_count: 3"), 2, ["epoch_count", "s.yaml:", "epochs"]),
    ("unknown field, line named", changed("seed: 7", "seeed: 7"), 2, ["seeed", "seed"]),
    ("path that names no field", changed("path: optimizer.adam.learning_rate", "path: optimizer.adam.learning_rat"), 1,
     ["INVALID_ARGUMENT", "search.parameters[0]", "learning_rat", "learning_rate"]),
    ("path into another kind", changed("path: optimizer.adam.learning_rate", "path: optimizer.sgd.learning_rate"), 1,
     ["INVALID_ARGUMENT", "search.parameters[0]", "sgd", "adam"]),
    ("empty range", changed("max: 1.0e-2", "max: 1.0e-4"), 1, ["INVALID_ARGUMENT", "search.parameters[0]", "min must be below max", "1e-04"]),
    ("reversed range", changed("max: 1.0e-2", "max: 1.0e-5"), 1, ["INVALID_ARGUMENT", "search.parameters[0]", "max"]),
    ("log scale at 0", changed("min: 1.0e-4", "min: 0"), 1, ["INVALID_ARGUMENT", "search.parameters[0]", "log scale", "above 0"]),
    ("empty list", changed("values: [25, 50, 100]", "values: []"), 1, ["INVALID_ARGUMENT", "search.parameters[1]", "values"]),
    ("ASHA min above max", changed("min_epochs: 1", "min_epochs: 10"), 1,
     ["INVALID_ARGUMENT", "search.asha.min_epochs", "10", "9"]),
    ("reduction of 1", changed("reduction: 3", "reduction: 1"), 1, ["INVALID_ARGUMENT", "search.asha.reduction", "2"]),
    ("unknown model", changed("lenet_300_100", "lenet_5"), 2, ["lenet_5", "lenet_300_100"]),
    ("objective without goal", changed(", goal: MAXIMIZE", ""), 1, ["INVALID_ARGUMENT", "objective.goal", "MAXIMIZE"]),
    ("no validation split to rank by", changed("validation_examples: 200", "validation_examples: 0"), 1,
     ["INVALID_ARGUMENT", "validation_examples"]),
    ("validation of the whole set", changed("validation_examples: 200", "validation_examples: 1000"), 1,
     ["INVALID_ARGUMENT", "training.dataset.mnist.validation_examples", "1000"]),
    ("values the model cannot take", changed("  batch_size: 50", "  batch_size: 0"), 1,
     ["INVALID_ARGUMENT", "training.batch_size", "0"]),
    ("learning rate below 0", changed("learning_rate: 0.001", "learning_rate: -0.001"), 1,
     ["INVALID_ARGUMENT", "training.optimizer.adam.learning_rate"]),
]


def check_studies(cluster, folder):
    wrong = []
    for what, text, code, words in STUDIES:
        file = write_study(folder / "s.yaml", text)
        result = cluster.headstart("studies", "create", "-f", file, check=False)
        said = result.stdout + result.stderr
        missing = [word for word in words if word not in said]
        if missing or result.returncode != code:
            wrong.append(f"{what}: exit {result.returncode}, no {missing} in: {said}")
        print(f"{what}: {said.strip()}", flush=True)
    assert not wrong, "\n".join(wrong)
    assert cluster.rows("studies", "list") == [], "something was half created"
    # The good file passes a dry run, which creates nothing either, and says the rungs.
    plan = cluster.rows("studies", "create", "-f", write_study(folder / "s.yaml", GOOD), "--dry-run")[0]
    assert [(int(rung["epochs"]), int(rung["trials"])) for rung in plan["rungs"]] == [(1, 9), (3, 3), (9, 1)], plan
    assert cluster.rows("studies", "list") == []


def check_names(cluster, folder):
    for arguments, words in [
        (("studies", "get", "studies/99"), ["NOT_FOUND", "studies/99"]),
        (("studies", "get", "study/1"), ["INVALID_ARGUMENT", "study/1", "studies/"]),
        (("trials", "get", "studies/99/trials/1"), ["NOT_FOUND", "studies/99"]),
        (("checkpoints", "get", "studies/99/trials/1/epochs/5"), ["NOT_FOUND", "studies/99/trials/1"]),
        (("trainings", "create", "--from", "studies/99/trials/1/epochs/5", "--epochs", "2", "--seeds", "1"),
         ["NOT_FOUND", "studies/99"]),
        (("checkpoints", "download", "studies/99/trials/1/epochs/5", "-o", folder / "x.safetensors"), ["NOT_FOUND"]),
    ]:
        result = cluster.headstart(*arguments, check=False)
        said = result.stdout + result.stderr
        assert result.returncode == 1 and all(word in said for word in words), f"{arguments}: {result.returncode}: {said}"
        print(said.strip(), flush=True)
    assert not (folder / "x.safetensors").exists()
    assert cluster.rows("trainings", "list") == []
    result = cluster.headstart("studies", "frobnicate", check=False)
    assert result.returncode == 2, result.returncode


def check_checkpoint_that_does_not_exist(cluster, folder):
    study = cluster.create_study(write_study(folder / "s.yaml", small_study("random: {trial_count: 1}", epochs=2)))
    cluster.wait_study(study)
    result = cluster.headstart("trainings", "create", "--from", f"{study}/winner/epochs/7", "--epochs", "1", "--seeds", "1",
                               check=False)
    said = result.stdout + result.stderr
    assert result.returncode == 1 and "NOT_FOUND" in said and "0 to 2" in said, said
    print(said.strip(), flush=True)
    cluster.headstart("studies", "delete", study)


def check_dataset_nobody_has(cluster, folder):
    text = small_study("random: {trial_count: 1}").replace("mnist:", "fashion_mnist:")
    study = cluster.create_study(write_study(folder / "s.yaml", text))
    waiting = wait_until(lambda: cluster.study(study).get("state_message"), "a word on what the study waits for")
    assert "fashion_mnist" in waiting and cluster.study(study)["state"] == "RUNNING", waiting
    print(waiting, flush=True)
    cluster.headstart("studies", "cancel", study)
    cluster.headstart("studies", "delete", study)


def check_damaged_dataset(folder):
    datasets = folder / "damaged"
    shutil.copytree(os.environ.get("HEADSTART_TEST_DATASETS", pathlib.Path(__file__).resolve().parents[2] / "examples/data"),
                    datasets)
    labels = datasets / "mnist" / "t10k-labels-idx1-ubyte.gz"
    labels.write_bytes(labels.read_bytes()[:2000])
    result = subprocess.run([str(BIN / "headstart"), "datasets", "verify", "--datasets", str(datasets)],
                            capture_output=True, text=True)
    said = result.stdout + result.stderr
    assert result.returncode == 1 and "t10k-labels-idx1-ubyte.gz" in said, said
    print(said.strip(), flush=True)


def check_second_server_on_one_folder(cluster, folder):
    for program, flags in (("headstart-storage", ["--data", folder / "storage", "--listen", f"unix:{folder}/run/x.sock"]),
                           ("headstart-scheduler", ["--data", folder / "scheduler", "--listen", f"unix:{folder}/run/y.sock",
                                                    "--worker-listen", f"unix:{folder}/run/z.sock",
                                                    "--storage", f"unix:{folder}/run/storage.sock"])):
        second = Process(program, [BIN / program, *flags, "--endpoints", folder / "other", "--metrics-listen", "127.0.0.1:0"],
                         folder / "second.log")
        code = second.child.wait(60)
        said = (folder / "second.log").read_text()
        holder = str((cluster.storage if program == "headstart-storage" else cluster.scheduler).pid)
        assert code == 1 and holder in said and str(folder) in said, f"exit {code}: {said}"
        (folder / "second.log").unlink()
    print(said.strip(), flush=True)


def check_second_up():
    with Folder() as folder:
        command = [str(BIN / "headstart"), "up", "--data", str(folder), "--listen", "127.0.0.1:0", "--metrics-ports=auto"]
        first = Process("up", command, folder / "first.log")
        try:
            wait_until(lambda: (folder / "endpoints" / "metrics-worker").exists() or not first.alive(), "first up", 60)
            second = subprocess.run(command, capture_output=True, text=True, timeout=60)
            said = second.stdout + second.stderr
            assert second.returncode == 1 and str(first.pid) in said and str(folder) in said, said
            print(said.strip(), flush=True)
        finally:
            first.stop()


def check_folder_of_another_cluster():
    """A scheduler with a new journal in front of an old store is refused there and says so; nothing is lost."""
    with Folder() as folder:
        cluster = Cluster(folder).start()
        try:
            study = cluster.create_study(write_study(folder / "s.yaml", small_study("random: {trial_count: 1}")))
            cluster.wait_study(study)
            before = cluster.stored()
            cluster.stop()
            (folder / "scheduler").rename(folder / "scheduler-of-before")
            cluster.start(agents=0)
            study = cluster.create_study(write_study(folder / "s.yaml", small_study("random: {trial_count: 1}", seed=8)))
            # Before storage has answered, the message is that no worker is ready.
            print(wait_until(lambda: "--adopt-cluster" in (said := cluster.study(study).get("state_message", "")) and said,
                             "a word on the other cluster"), flush=True)
            assert {name: digest for name, (digest, _) in cluster.stored().items()} == {
                name: digest for name, (digest, _) in before.items()}
            cluster.stop()
        finally:
            cluster.kill()


def check_full_disk():
    """Below the floor of free space nothing is acknowledged that could not be kept; with room again, work goes on."""
    with Folder() as folder:
        floor = f"{shutil.disk_usage(folder).free * 2 >> 30}GiB"
        cluster = Cluster(folder, scheduler_flags=[f"--free-bytes-floor={floor}"]).start()
        try:
            result = cluster.headstart("studies", "create", "-f", write_study(folder / "s.yaml", GOOD), check=False)
            said = result.stdout + result.stderr
            assert result.returncode == 1 and "RESOURCE_EXHAUSTED" in said and str(folder / "scheduler") in said, said
            print(said.strip(), flush=True)
            assert cluster.rows("studies", "list") == []  # Reads go on.
            cluster.scheduler.stop()
            cluster.scheduler_flags = []
            cluster.start_scheduler()
            cluster.storage.stop()
            cluster.storage_flags = [f"--free-bytes-floor={floor}"]
            cluster.start_storage()
            study = cluster.create_study(write_study(folder / "s.yaml", small_study("random: {trial_count: 1}")))
            # Before the worker has tried, the message is that of a storage server that has just started.
            waiting = wait_until(lambda: "waits for storage" in (said := cluster.study(study).get("state_message", "")) and said,
                                 "a word on the disk")
            assert all(word in waiting for word in (f"{study}/trials/1 waits for storage", "RESOURCE_EXHAUSTED",
                                                    str(folder / "storage"), "Free space")), waiting
            print(waiting, flush=True)
            assert int(cluster.study(study).get("recorded_epochs", 0)) == 0
            cluster.storage.stop()
            cluster.storage_flags = []
            cluster.start_storage()
            done = cluster.wait_study(study)
            assert done["state"] == "SUCCEEDED" and not done.get("state_message"), done
            cluster.stop()
        finally:
            cluster.kill()


def main():
    with Folder() as folder:
        cluster = Cluster(folder).start()
        try:
            check_studies(cluster, folder)
            check_names(cluster, folder)
            check_checkpoint_that_does_not_exist(cluster, folder)
            check_dataset_nobody_has(cluster, folder)
            check_damaged_dataset(folder)
            check_second_server_on_one_folder(cluster, folder)
            cluster.stop()
        finally:
            cluster.kill()
    check_second_up()
    check_folder_of_another_cluster()
    check_full_disk()


if __name__ == "__main__":
    main()
