"""A person's own safetensors file becomes a checkpoint, trainings and trials start from exactly its weights, and it goes
when nobody wants it any more. Broken files are refused with words that help, and leave nothing.
"""
import array
import json
import pathlib
import random
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from harness import Cluster, Folder, Refused, small_study, wait_until, write_study  # noqa: E402

LENET = {"layers.0.weight": [300, 784], "layers.0.bias": [300], "layers.2.weight": [100, 300], "layers.2.bias": [100],
         "layers.4.weight": [10, 100], "layers.4.bias": [10]}
NAME = "imports/lenet/epochs/0"


def weights(seed):
    """{tensor: bytes} of F32 for LENET."""
    generator = random.Random(seed)
    made = {}
    for name, shape in LENET.items():
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        made[name] = array.array("f", (generator.uniform(-0.05, 0.05) for _ in range(count))).tobytes()
    return made


def write(path, tensors, shapes=LENET):
    """The file as the format's description says it, without any library."""
    header, data = {}, b""
    for name, part in tensors.items():
        header[name] = {"dtype": "F32", "shape": shapes[name], "data_offsets": [len(data), len(data) + len(part)]}
        data += part
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def read(path):
    """{tensor: bytes} of a downloaded file."""
    file = path.read_bytes()
    begin = 8 + struct.unpack("<Q", file[:8])[0]
    header = json.loads(file[8:begin])
    return {name: file[begin + about["data_offsets"][0]:begin + about["data_offsets"][1]]
            for name, about in header.items() if name != "__metadata__"}


def refused(cluster, *arguments, words):
    try:
        cluster.headstart(*arguments)
    except Refused as refusal:
        assert refusal.code == 1, refusal.text
        for word in words:
            assert word in refusal.text, f"no {word!r} in: {refusal.text}"
        return
    raise AssertionError(f"{arguments} was taken")


def broken_files(cluster, folder):
    good = write(folder / "good.safetensors", weights(1)).read_bytes()
    no_file = folder / "notes.safetensors"
    no_file.write_text("These are notes on a model, and no tensors at all.")
    cut = folder / "cut.safetensors"
    cut.write_bytes(good[:-100])
    lies = write(folder / "lies.safetensors", weights(1), {**LENET, "layers.2.bias": [101]})
    for file, words in ((no_file, ["not a safetensors file", "claims a header of"]),
                        (cut, ["not a safetensors file", "its tensors span 1066440 bytes, the file has 1066340"]),
                        (lies, ["layers.2.bias", "do not span the 404 bytes"])):
        refused(cluster, "checkpoints", "import", file, "--name", "lenet", words=["INVALID_ARGUMENT", str(file), *words])
    assert cluster.stored() == {}
    assert int(cluster.rows("checkpoints", "usage")[0].get("dead_bytes", 0)) == 0, "a refused file was sent"


def main():
    with Folder() as folder:
        cluster = Cluster(folder).start()
        try:
            broken_files(cluster, folder)
            file = write(folder / "lenet.safetensors", weights(1))
            imported = cluster.rows("checkpoints", "import", file, "--name", "lenet")[0]
            assert imported["name"] == NAME and imported["tensor_bytes"] == "1066440", imported
            assert cluster.headstart("checkpoints", "import", file, "--name", "lenet").stdout == NAME + "\n"
            assert cluster.stored("imports") == {NAME: (imported["manifest_digest"], ["PINNED"])}
            reason = cluster.rows("checkpoints", "get", NAME)[0]["references"][0]["detail"]
            assert reason == "imported from lenet.safetensors", reason

            other = write(folder / "other.safetensors", weights(2))
            refused(cluster, "checkpoints", "import", other, "--name", "lenet",
                    words=["ALREADY_EXISTS", "Choose another name", f"checkpoints unpin {NAME}"])

            training = f"""\
training:
  model: {{lenet_300_100: {{}}}}
  dataset: {{mnist: {{train_examples: 500, validation_examples: 100}}}}
  epochs: 1
  batch_size: 50
  optimizer: {{adam: {{learning_rate: 0.001}}}}
  initializer: {{checkpoint: {{checkpoint: {NAME}}}}}
seeds: [1, 2]
"""
            refused(cluster, "trainings", "create", "-f",
                    write_study(folder / "none.yaml", training.replace("imports/lenet", "imports/resnet")),
                    words=["NOT_FOUND", "imports/resnet", "checkpoints list imports"])
            refused(cluster, "trainings", "create", "--from", NAME, "--seeds", "1",
                    words=["INVALID_ARGUMENT", "training.model", "no training to inherit from"])

            # What is asked for before the scheduler has found storage again is taken, and waits for it.
            cluster.storage.kill()
            cluster.start_storage()
            cluster.headstart("checkpoints", "download", NAME, "-o", folder / "back.safetensors")
            assert read(folder / "back.safetensors") == weights(1)
            name = cluster.rows("trainings", "create", "-f", write_study(folder / "t.yaml", training))[-1]["name"]
            over = wait_until(
                lambda: next((row for row in cluster.rows("trainings", "get", name)
                              if row["state"] in ("SUCCEEDED", "FAILED")), None), f"end of {name}")
            assert over["state"] == "SUCCEEDED", over
            for run in (1, 2):
                start = folder / f"start{run}.safetensors"
                cluster.headstart("checkpoints", "download", f"{name}/runs/{run}/epochs/0", "-o", start)
                assert read(start) == weights(1), f"run {run} began with other weights"

            study = small_study("random: {trial_count: 2}", epochs=1).replace(
                "epochs: 1\n", f"epochs: 1\n  initializer: {{checkpoint: {{checkpoint: {NAME}}}}}\n").replace(
                "    - {path: initializer, choice: {values: [{xavier_normal: {}}, {kaiming_uniform: {}}, "
                "{framework_default: {}}]}}\n", "")
            study = cluster.create_study(write_study(folder / "s.yaml", study))
            assert cluster.wait_study(study)["state"] == "SUCCEEDED"
            cluster.headstart("checkpoints", "download", f"{study}/winner/epochs/0", "-o", folder / "trial.safetensors")
            assert read(folder / "trial.safetensors") == weights(1)

            # It stays while anybody starts from it, and goes with the last of them.
            assert "SOURCE_OF" in cluster.stored("imports")[NAME][1]
            cluster.headstart("checkpoints", "unpin", NAME)
            refused(cluster, "checkpoints", "import", other, "--name", "lenet", words=["ALREADY_EXISTS", "still needs"])
            cluster.headstart("trainings", "delete", name)
            cluster.headstart("studies", "delete", study)
            wait_until(lambda: cluster.stored("imports") == {}, "the end of an import that nobody wants")
            cluster.headstart("checkpoints", "import", other, "--name", "lenet")
            print("trained from exactly the imported weights; broken files left nothing")
            cluster.stop()
        finally:
            cluster.kill()


if __name__ == "__main__":
    main()
