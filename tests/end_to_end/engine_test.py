"""The training engine over real processes: what is trained is what was asked for, whatever happens meanwhile.

  engine_test.py NAME     runs one; see TESTS at the end
"""
import json
import pathlib
import signal
import os
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from harness import ROOT, Cluster, Folder, children_of, skip, small_study, wait_until, write_study  # noqa: E402

SHARED = ROOT.parent / "shared" / "data"

LENET = ("{lenet_300_100: {}}", "{mnist: {train_examples: 300, validation_examples: 50}}", 25)
SMALL_CNN = ("{small_cnn: {}}", "{synthetic: {train_examples: 240, test_examples: 20, validation_examples: 40}}", 20)
RESNET18 = ("{cifar_resnet18: {}}", "{synthetic: {train_examples: 48, test_examples: 8, validation_examples: 8, classes: 4}}", 8)
OPTIMIZERS = ("{sgd: {learning_rate: 0.02, momentum: 0.9, nesterov: true, weight_decay: 0.0005}}",
              "{adam: {learning_rate: 0.002}}", "{adamw: {learning_rate: 0.002, weight_decay: 0.05}}")
SCHEDULES = ("{cosine: {step: PER_STEP}}", "{one_cycle: {}}")


def specs():
    """LeNet, small CNN and ResNet-18 (5 steps an epoch), each with every optimizer and a schedule that changes with every step."""
    for model, dataset, batch in (LENET, SMALL_CNN, RESNET18):
        for optimizer in OPTIMIZERS:
            for schedule in SCHEDULES:
                yield (f"training: {{model: {model}, dataset: {dataset}, epochs: 4, batch_size: {batch}, optimizer: {optimizer}, "
                       f"schedule: {schedule}}}\nseeds: [42]\n")


def runs_of(cluster):
    """All runs of all trainings, with their epochs and attempts."""
    return [run for training in cluster.rows("trainings", "list")
            for run in cluster.rows("trainings", "get", training["name"])[0]["runs"]]


def running(cluster):
    """The same in brief and in one call."""
    return [run for training in cluster.rows("trainings", "list") for run in training["runs"]]


def train_all(cluster, folder, meanwhile):
    """Trains specs() to their ends, calling meanwhile(runs) again and again, and returns the digest of every epoch."""
    for number, text in enumerate(specs()):
        cluster.headstart("trainings", "create", "--file", write_study(folder / f"{number}.yaml", text))

    def over():
        runs = running(cluster)
        meanwhile(runs)
        return all(run["state"] not in ("WAITING", "TRAINING") for run in runs)
    wait_until(over, "the end of all trainings", seconds=900)
    runs = runs_of(cluster)
    assert all(run["state"] == "SUCCEEDED" for run in runs), [run for run in runs if run["state"] != "SUCCEEDED"]
    return {(run["name"], epoch["epoch"]): (epoch["manifest_digest"], json.dumps(epoch.get("measurement"), sort_keys=True))
            for run in runs for epoch in run["epochs"]}


def kill_and_resume():
    """Trainers are killed in the middle, and every epoch of every run is what it is without."""
    with Folder() as folder:
        results = []
        for name in ("quiet", "killed"):
            (folder / name).mkdir()
            cluster = Cluster(folder / name).start(slots="cpu:1,cpu:1")
            agent = cluster.agents["worker1"]
            killed = set()  # Each run once: it gives up when it is killed twice without a new epoch.

            def kill(runs):
                live = {run["name"] for run in runs if run["state"] == "TRAINING" and int(run.get("epoch", 0)) > 0}
                if not live or live & killed or any(run["name"] not in live for run in runs if run["state"] == "TRAINING"):
                    return
                for pid in children_of(agent.pid):
                    os.kill(pid, signal.SIGKILL)
                killed.update(live | {run["name"] for run in running(cluster) if run["state"] == "TRAINING"})
            try:
                results.append(train_all(cluster, folder / name, kill if name == "killed" else lambda runs: None))
                if name == "killed":
                    resumed = sum(any(int(attempt["from_epoch"]) > 0 for attempt in run["attempts"]) for run in runs_of(cluster))
                    print(f"{len(killed)} runs killed, {resumed} went on from a stored epoch", flush=True)
                    assert resumed >= 6, resumed
                cluster.stop()
            finally:
                cluster.kill()
        quiet, after_kills = results
        assert len(quiet) == 18 * 5, len(quiet)
        different = [key for key in quiet if quiet[key] != after_kills.get(key)]
        assert not different, different


PRUNED = """\
training:
  model: {lenet_300_100: {negative_slope: 0.05}}
  dataset: {mnist: {train_examples: 6000, validation_examples: 500}}
  epochs: 40
  batch_size: 60
  optimizer: {adam: {learning_rate: 0.0012}}
  initializer: {xavier_normal: {}}
  pruning: {epochs_per_level: 2, biases: true}
seeds: [42]
"""


def pruned():
    """A pruned run whose trainer is killed ten times stores what it stores without, level by level."""
    with Folder() as folder:
        results = []
        for name, kills in (("quiet", 0), ("killed", 10)):
            (folder / name).mkdir()
            cluster = Cluster(folder / name).start(slots="cpu:1")
            agent = cluster.agents["worker1"]
            killed_at = {}  # Epoch by attempt.
            try:
                training = cluster.rows("trainings", "create", "-f", write_study(folder / "pruned.yaml", PRUNED))[-1]["name"]

                def over():
                    run = cluster.rows("trainings", "get", training)[0]["runs"][0]
                    epoch = int(run.get("epoch", 0))
                    # It gives up when it is killed twice without a new epoch.
                    attempt = run["attempts"][-1] if run.get("attempts") else None
                    if (len(killed_at) < kills and attempt and attempt["number"] not in killed_at
                            and epoch > int(attempt.get("from_epoch", 0)) and children_of(agent.pid)):
                        for pid in children_of(agent.pid):
                            os.kill(pid, signal.SIGKILL)
                        killed_at[attempt["number"]] = epoch
                    return run if run["state"] not in ("WAITING", "TRAINING") else None
                run = wait_until(over, f"the end of {training}", seconds=300)
                assert run["state"] == "SUCCEEDED", run
                assert len(killed_at) == kills, killed_at
                results.append({epoch["epoch"]: epoch["manifest_digest"] for epoch in run["epochs"]})
                # A fifth of each tensor with every level, biases too, rounded down: 19 times.
                last = run["epochs"][-1]["measurement"]
                assert sum(int(each["count"]) for each in last["survivors"]) == 3858, last
                assert abs(last["survivor_share"] - 3858 / 266610) < 1e-9, last

                epoch = f"{training}/runs/1/epochs/40"
                for flags, masks in (((), 0), (("--include-masks",), 6)):
                    file = folder / name / f"{masks}.safetensors"
                    cluster.headstart("checkpoints", "download", epoch, "-o", file, *flags)
                    names = tensor_names(file)
                    assert sum(each.startswith("mask.") for each in names) == masks and len(names) == 6 + masks, names
                assert "weights left:" in cluster.headstart("checkpoints", "get", epoch, "--format", "table").stderr
                cluster.stop()
            finally:
                cluster.kill()
        quiet, after_kills = results
        assert len(quiet) == 41, len(quiet)
        print(f"killed after epochs {list(killed_at.values())}", flush=True)
        assert quiet == after_kills, [epoch for epoch in quiet if quiet[epoch] != after_kills.get(epoch)]


def tensor_names(file):
    content = file.read_bytes()
    header = json.loads(content[8:8 + int.from_bytes(content[:8], "little")])
    return sorted(name for name in header if name != "__metadata__")


def study_on(datasets, training, check, trials=2):
    """Runs a study with `training` over two trials and hands the study to `check`."""
    with Folder() as folder:
        cluster = Cluster(folder, datasets=datasets).start(slots="cpu:1,cpu:1")
        text = (f"training: {training}\nsearch:\n  parameters:\n    - {{path: optimizer.sgd.learning_rate, "
                f"double: {{min: 0.01, max: 0.1, scale: LOG}}}}\n  random: {{trial_count: {trials}}}\n"
                "objective: {metric: VALIDATION_ACCURACY, goal: MAXIMIZE}\nseed: 3\n")
        try:
            done = cluster.wait_study(cluster.create_study(write_study(folder / "s.yaml", text)), seconds=900)
            assert done["state"] == "SUCCEEDED", done
            check(cluster, done)
            cluster.stop()
        finally:
            cluster.kill()


SGD = "optimizer: {sgd: {learning_rate: 0.05, momentum: 0.9}}"


SHORT = """\
training:
  model: {{lenet_300_100: {{}}}}
  dataset: {{mnist: {{train_examples: 1000, validation_examples: 100}}}}
  epochs: 4
  batch_size: 50
  optimizer: {{sgd: {{learning_rate: 0.05, momentum: 0.9}}}}
{more}
seeds: [42]
"""


def phases():
    """A lottery ticket is trained on, and layer-wise stages insert what a download tells of."""
    with Folder() as folder:
        cluster = Cluster(folder).start(slots="cpu:1")
        try:
            def train(name, more):
                """The training's name and its run, when that is over."""
                training = cluster.rows("trainings", "create", "-f", write_study(folder / f"{name}.yaml", SHORT.format(more=more)))[-1]["name"]

                def over():
                    run = cluster.rows("trainings", "get", training)[0]["runs"][0]
                    return run if run["state"] not in ("WAITING", "TRAINING") else None
                run = wait_until(over, f"the end of {training}")
                assert run["state"] == "SUCCEEDED", run
                return training, run

            pruned_training, run = train("pruned", "  pruning: {epochs_per_level: 2, rate: 0.5}")
            share = run["epochs"][-1]["measurement"]["survivor_share"]
            assert abs(share - 0.5) < 1e-4, share
            kept = {row["name"]: row for row in cluster.rows("checkpoints", "list", f"{pruned_training}/runs/1")}
            reasons = {int(name.split("/")[-1]): [(each["reason"], each.get("detail", "")) for each in row["references"]] for name, row in kept.items()}
            assert any("levels begin from" in json.dumps(each) for each in reasons[0]), reasons
            assert any("end of level 1" in json.dumps(each) for each in reasons[2]), reasons

            steps = f"[{{checkpoint: {{checkpoint: {pruned_training}/runs/1/epochs/0}}}}, {{mask: {{checkpoint: {pruned_training}/runs/1/epochs/4}}}}]"
            _, ticket = train("ticket", f"  initializer: {{chain: {{steps: {steps}}}}}")
            assert abs(ticket["epochs"][-1]["measurement"]["survivor_share"] - share) < 1e-3, ticket["epochs"][-1]

            staged_training, run = train("staged", "  stages: {layer_wise: {blocks: 2, repeats: 2, normalization: NORMALIZE_TOGETHER}, distillation: {targets: CACHED}}")
            epoch = f"{staged_training}/runs/1/epochs/4"
            file = folder / "staged.safetensors"
            told = cluster.headstart("checkpoints", "download", epoch, "-o", file)
            assert "normalizations between this model's blocks" in told.stderr, told.stderr
            assert {"inserted.2.mean", "inserted.2.deviation"} <= set(tensor_names(file)), tensor_names(file)

            wrong = write_study(folder / "wrong.yaml", SHORT.format(more="  stages: {count: 3, keep: {}}"))
            refused = cluster.headstart("trainings", "create", "-f", wrong, check=False)
            assert refused.returncode != 0, refused
            assert "3 stages of 1 epochs leave 1 of 4 over. Set epochs to 3 or 6." in refused.stderr, refused.stderr
            cluster.stop()
        finally:
            cluster.kill()


def tiny_imagenet():
    """JPEG files, some of them greyscale."""
    if not (SHARED / "tiny-imagenet-slice").exists():
        skip("the slice of Tiny ImageNet is not here")

    def check(cluster, done):
        assert done["best_objective"] > 0.15, done["best_objective"]  # Ten classes.
    study_on(SHARED / "tiny-imagenet-slice",
             "{model: {small_cnn: {}}, dataset: {tiny_imagenet: {classes: 10, validation_examples: 100}}, epochs: 4, batch_size: 25, "
             f"augmentation: {{crop_padding: 4, flip_probability: 0.5}}, {SGD}}}", check)


def food101():
    """JPEG files of many sizes, cut at random places."""
    if not (SHARED / "food101-slice").exists():
        skip("the slice of Food-101 is not here")

    def check(cluster, done):
        trial = cluster.rows("trials", "get", done["best_trial"])[0]
        assert int(trial["epoch"]) == 3, trial
    study_on(SHARED / "food101-slice",
             "{model: {small_cnn: {}}, dataset: {food101: {classes: 5, image_size: 64, validation_examples: 10}}, epochs: 3, batch_size: 5, "
             f"augmentation: {{random_resized_crop: {{}}, flip_probability: 0.5}}, {SGD}}}", check)


def resnet18():
    """ResNet-18 on 600 images of CIFAR-10, with augmentation and one cycle."""
    with Folder() as datasets:
        if (SHARED / "unpack.py").exists():
            subprocess.run([sys.executable, str(SHARED / "unpack.py"), str(datasets)], check=True, stdout=subprocess.DEVNULL)
        else:
            skip("CIFAR-10 is not here")

        def check(cluster, done):
            assert done["best_objective"] > 0.12, done["best_objective"]  # Ten classes.
        study_on(datasets,
                 "{model: {cifar_resnet18: {}}, dataset: {cifar10: {train_examples: 600, validation_examples: 100}}, epochs: 2, "
                 f"batch_size: 50, augmentation: {{crop_padding: 4, flip_probability: 0.5}}, schedule: {{one_cycle: {{}}}}, {SGD}}}", check)


def early_stop():
    """Trials end with the epoch that reaches the target, and a training from the winner goes on beyond it."""
    with Folder() as folder:
        cluster = Cluster(folder).start(slots="cpu:1,cpu:1")
        try:
            text = small_study("random: {trial_count: 3}", epochs=20,
                               extra="then: [{from: {winner: {epoch: 1}}, epochs: 2, seeds: [1]}]").replace(
                "  epochs: 20\n", "  epochs: 20\n  early_stop: {validation_accuracy: 0.6}\n")
            study = cluster.create_study(write_study(folder / "s.yaml", text))
            done = cluster.wait_study(study, seconds=300)
            assert done["state"] == "SUCCEEDED", done
            stopped = 0
            for row in cluster.rows("trials", "list", study):
                trial = cluster.rows("trials", "get", row["name"])[0]
                reached = [int(epoch["epoch"]) for epoch in trial["epochs"]
                           if epoch.get("measurement", {}).get("validation_accuracy", 0) >= 0.6]
                assert trial["state"] == "SUCCEEDED", trial
                assert int(trial["epoch"]) == (reached[0] if reached else 20), (trial["epoch"], reached)
                stopped += bool(reached)
            assert stopped > 0
            training = cluster.study(study)["trainings"][0]
            wait_until(lambda: cluster.rows("trainings", "get", training)[0]["state"] == "SUCCEEDED", "the training")
            assert int(cluster.rows("trainings", "get", training)[0]["runs"][0]["epoch"]) == 2
            cluster.stop()
        finally:
            cluster.kill()


def examples():
    """The scheduler takes every study in examples/, and every comparison that needs neither a study nor an import."""
    with Folder() as folder:
        cluster = Cluster(folder)
        try:
            cluster.start_storage()
            cluster.start_scheduler()
            others = ("training.yaml", "comparison.yaml", "ghn-orth-with-weights.yaml")
            files = sorted(path for folder in ("examples", "examples/papers") for path in (ROOT / folder).glob("*.yaml") if path.name not in others)
            assert len(files) >= 40, files
            for path in files:
                print(path.name, flush=True)
                noun = "studies" if "\nsearch:" in path.read_text() else "comparisons"
                cluster.headstart(noun, "create", "--file", path, "--dry-run")
            cluster.stop()
        finally:
            cluster.kill()


TESTS = [examples, kill_and_resume, pruned, phases, tiny_imagenet, food101, resnet18, early_stop]

if __name__ == "__main__":
    by_name = {test.__name__: test for test in TESTS}
    if len(sys.argv) != 2 or sys.argv[1] not in by_name:
        sys.exit(f"usage: engine_test.py {'|'.join(by_name)}")
    by_name[sys.argv[1]]()
    print("passed")
