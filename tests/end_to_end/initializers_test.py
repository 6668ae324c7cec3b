"""Trainings and studies that start from stored checkpoints in every way: their mean, shrunk and perturbed, some blocks only;
searched over; and what they say when that cannot be.
"""
import json
import math
import pathlib
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from harness import Cluster, Folder, Refused, wait_until, write_study  # noqa: E402

DATASET = "dataset: {mnist: {train_examples: 300, validation_examples: 100}}"


def spec(initializer="{framework_default: {}}", model="small_cnn"):
    return (f"{{model: {{{model}: {{}}}}, {DATASET}, epochs: 1, batch_size: 50, evaluate: TEST_NEVER, "
            f"optimizer: {{adam: {{learning_rate: 0.001}}}}, initializer: {initializer}}}")


def study(parameters, trials, **training):
    return (f"training: {spec(**training)}\nsearch:\n  random: {{trial_count: {trials}}}\n  parameters:\n"
            + "".join(f"    - {{{parameter}}}\n" for parameter in parameters)
            + "objective: {metric: VALIDATION_LOSS, goal: MINIMIZE}\nretention: {best_trials: 9}\nseed: 3\n")


LEARNING_RATE = "path: optimizer.adam.learning_rate, double: {min: 1.0e-4, max: 1.0e-2, scale: LOG}"


def run_study(cluster, folder, text):
    done = cluster.wait_study(cluster.create_study(write_study(folder / "s.yaml", text)))
    assert done["state"] == "SUCCEEDED", done
    return done["name"]


def train(cluster, folder, initializer, **options):
    """The training, when it is over."""
    file = write_study(folder / "t.yaml", f"training: {spec(initializer, **options)}\nseeds: [5]\n")
    name = cluster.rows("trainings", "create", "-f", file)[-1]["name"]

    def over():
        training = cluster.rows("trainings", "get", name)[0]
        return training if training["state"] in ("SUCCEEDED", "FAILED") else None
    return wait_until(over, f"end of {name}", 120)


def weights(cluster, folder, checkpoint):
    """{tensor: numbers} of a checkpoint."""
    file = folder / "w.safetensors"
    file.unlink(missing_ok=True)
    cluster.headstart("checkpoints", "download", checkpoint, "-o", file)
    data = file.read_bytes()
    size = int.from_bytes(data[:8], "little")
    tensors = {}
    for name, entry in json.loads(data[8:8 + size]).items():
        if name == "__metadata__":
            continue
        begin, end = (8 + size + offset for offset in entry["data_offsets"])
        kind = {"F32": "f", "I64": "q"}[entry["dtype"]]
        tensors[name] = struct.unpack(f"<{(end - begin) // struct.calcsize(kind)}{kind}", data[begin:end])
    return tensors


def rounded(number):
    return struct.unpack("<f", struct.pack("<f", number))[0]


def check_trainings(cluster, folder, trials):
    first, second = (weights(cluster, folder, trial) for trial in trials)
    names = "[" + ", ".join(trials) + "]"

    training = train(cluster, folder, f"{{mean: {{checkpoints: {names}}}}}")
    assert training["state"] == "SUCCEEDED", training
    start = weights(cluster, folder, training["runs"][0]["name"] + "/epochs/0")
    for name, values in start.items():
        mean = [(a + b) / 2 for a, b in zip(first[name], second[name])]
        assert list(values) == [round(m) if "tracked" in name else rounded(m) for m in mean], name
    for trial in trials:  # Both are kept for it.
        assert "SOURCE_OF" in cluster.stored(trial.split("/trials")[0])[trial][1], trial

    training = train(cluster, folder, f"{{chain: {{steps: [{{checkpoint: {{checkpoint: {trials[0]}, buffers: false, "
                     "fresh_layers: [linear]}}, {shrink_perturb: {}}]}}")
    assert training["state"] == "SUCCEEDED", training
    assert training["source_checkpoint"] == trials[0], training
    start = weights(cluster, folder, training["runs"][0]["name"] + "/epochs/0")
    assert set(start["bn2.running_mean"]) == {0} and set(start["bn2.running_var"]) == {1}, start["bn2.running_var"]
    assert start["bn2.num_batches_tracked"] == (0,)
    # A norm's scale is no draw: 0.4 times the old one and 0.1.
    for old, new in zip(first["bn2.weight"], start["bn2.weight"]):
        assert math.isclose(new, 0.4 * old + 0.1, abs_tol=1e-6), (old, new)
    # The head is fresh: twice drawn from [-b, b], b = 1/sqrt(128).
    assert max(map(abs, start["linear.weight"])) <= 0.5 / math.sqrt(128) + 1e-6

    training = train(cluster, folder, f"{{chain: {{steps: [{{checkpoint: {{checkpoint: {trials[0]}}}}}, {{keep_blocks: {{blocks: 2}}}}]}}}}")
    assert training["state"] == "SUCCEEDED", training
    start = weights(cluster, folder, training["runs"][0]["name"] + "/epochs/0")
    for name, values in start.items():
        kept = name.startswith(("conv1.", "bn1.", "conv2.", "bn2."))
        assert kept == (values == first[name]), name


def check_searches(cluster, folder, trials):
    choices = ["{kaiming_normal: {}}", f"{{checkpoint: {{checkpoint: {trials[0]}}}}}",
               f"{{chain: {{steps: [{{mean: {{checkpoints: [{trials[0]}, {trials[1]}]}}}}, {{shrink_perturb: {{shrink: 0.5}}}}]}}}}"]
    name = run_study(cluster, folder, study(
        [LEARNING_RATE, f"path: initializer, choice: {{values: [{', '.join(choices)}]}}"], trials=8))
    found = cluster.trials(name)
    kinds = {next(iter(trial["training"]["initializer"])) for trial in found}
    assert kinds == {"kaiming_normal", "checkpoint", "chain"}, kinds
    assert len({trial["training"]["optimizer"]["adam"]["learning_rate"] for trial in found}) == 8
    assert all(trial["state"] == "SUCCEEDED" for trial in found), [trial["state"] for trial in found]

    chain = f"{{chain: {{steps: [{{checkpoint: {{checkpoint: {trials[0]}}}}}, {{shrink_perturb: {{}}}}]}}}}"
    shrink = "path: 'initializer.chain.steps[1].shrink_perturb.shrink', double: {min: 0.2, max: 0.8}"
    name = run_study(cluster, folder, study([LEARNING_RATE, shrink], trials=3, initializer=chain))
    shrinks = [trial["training"]["initializer"]["chain"]["steps"][1]["shrink_perturb"]["shrink"] for trial in cluster.trials(name)]
    assert len(set(shrinks)) == 3 and all(0.2 <= value < 0.8 for value in shrinks), shrinks

    for parameter, words in [
            (shrink.replace("[1]", "[2]"), ["there is no [2]", "[0] to [1]"]),
            (shrink.replace("[1]", "[0]"), ["lies in another kind", "checkpoint"]),
            (shrink.replace("0.8", "1.8"), ["shrink_perturb.shrink: must be from 0 to 1"])]:
        try:
            cluster.create_study(write_study(folder / "s.yaml", study([parameter], trials=2, initializer=chain)))
        except Refused as refused:
            missing = [word for word in words if word not in str(refused)]
            assert not missing, (missing, str(refused))
        else:
            raise AssertionError(f"not refused: {parameter}")


def check_bad_input(cluster, folder, trials, other):
    chain = "{{chain: {{steps: [{{checkpoint: {{checkpoint: {0}}}}}, {1}]}}}}"
    # (initializer, what the failure says)
    failing = [
        (f"{{checkpoint: {{checkpoint: {other}}}}}", [f"{other} does not fit the model", "It lacks", "Choose the same model"]),
        (f"{{mean: {{checkpoints: [{trials[0]}, {other}]}}}}", [f"{other} does not fit the model", "Leave this one out"]),
        (f"{{checkpoint: {{checkpoint: {trials[0]}, fresh_layers: [head]}}}}", ["no layer \"head\"", "conv1, bn1", "linear"]),
        (chain.format(trials[0], "{keep_blocks: {blocks: 3}}"), ["keep_blocks.blocks: is 3", "3 blocks: conv1+bn1, conv2+bn2"]),
    ]
    wrong = []
    for initializer, words in failing:
        training = train(cluster, folder, initializer)
        said = training["runs"][0].get("failure", {}).get("message", "")
        print(f"{initializer}: {said}", flush=True)
        missing = [word for word in words if word not in said]
        if training["state"] != "FAILED" or missing:
            wrong.append(f"{initializer}: {training['state']}, no {missing} in: {said}")
    # Before anything is created.
    refused = [
        (f"{{mean: {{checkpoints: [{trials[0]}]}}}}", "initializer.mean.checkpoints: a mean needs two or more"),
        (f"{{mean: {{checkpoints: [{trials[0]}, {trials[0]}]}}}}", "initializer.mean.checkpoints[1]"),
        (f"{{mean: {{checkpoints: [{trials[0]}, studies/9/trials/1/epochs/1]}}}}", "There is no studies/9/trials/1"),
        ("{keep_blocks: {blocks: 1}}", "there is nothing to keep"),
    ]
    for initializer, words in refused:
        try:
            train(cluster, folder, initializer)
            wrong.append(f"{initializer}: not refused")
        except Refused as refusal:
            if words not in str(refusal):
                wrong.append(f"{initializer}: no {words} in: {refusal}")
    assert not wrong, "\n".join(wrong)


def main():
    with Folder() as folder:
        cluster = Cluster(folder).start()
        try:
            name = run_study(cluster, folder, study([LEARNING_RATE], trials=2))
            trials = [f"{name}/trials/{number}/epochs/1" for number in (1, 2)]
            other = run_study(cluster, folder, study([LEARNING_RATE], trials=1, model="lenet_300_100")) + "/trials/1/epochs/1"
            check_trainings(cluster, folder, trials)
            check_searches(cluster, folder, trials)
            check_bad_input(cluster, folder, trials, other)
            cluster.stop()
        finally:
            cluster.kill()


if __name__ == "__main__":
    main()
