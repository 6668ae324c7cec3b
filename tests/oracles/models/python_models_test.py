"""Files that the trainer writes load into Python's model classes with strict=True and give the same logits there.

One kind of each family of models is trained for an epoch on a few synthetic images. The classes are torchvision's, or
those of reference_models.py where it has none. Needs a Python with torch, torchvision and safetensors: tests/run.sh
--with-python makes one and names it in HEADSTART_TEST_PYTHON.
"""
import json
import os
import pathlib
import subprocess
import sys

FOLDER = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parents[1] / "end_to_end"))
from harness import BIN, Folder, skip, train_alone  # noqa: E402

MODEL_LOGITS = BIN.parent / "tests" / "oracles" / "models" / "model_logits"

# Names of cases in make_expected.py. It says with which options and sizes.
CASES = ["small_cnn", "cifar_resnet18", "preact_resnet18", "resnet18", "resnet50_small_images", "resnet110",
         "wide_resnet28_10_bias", "densenet_bc_100_12", "densenet121", "fixup_resnet20", "fixup_resnet18",
         "inception_v3", "mobilenet_v2", "cifar_mobilenet_v2", "convnext_tiny", "swin_t"]

# Lists the cases, then reads one folder a line and answers with the largest difference, relative to the largest logit.
PYTHON = r"""
import json, sys, warnings
warnings.filterwarnings("ignore")
sys.path.insert(0, sys.argv[1])
try:
    import make_expected, reference_models, torch
    from safetensors.torch import load_file
except ImportError as error:
    print(json.dumps(str(error)))
    sys.exit()
torch.set_num_threads(1)
print(json.dumps(make_expected.CASES), flush=True)
for line in sys.stdin:
    name, folder = line.split()
    case = make_expected.CASES[name]
    shape = case["shape"]
    model = reference_models.make(case["model"], case["options"], shape["channels"], shape["classes"])
    model.load_state_dict(load_file(folder + "/epoch-1.safetensors"), strict=True)
    images = torch.frombuffer(bytearray(open(folder + "/images", "rb").read()), dtype=torch.float32)
    with torch.no_grad():
        ours = model.eval()(images.view(-1, shape["channels"], shape["height"], shape["width"])).flatten()
    theirs = torch.tensor([float(line) for line in open(folder + "/logits")])
    print(float((ours - theirs).abs().max() / ours.abs().max()), flush=True)
"""


def give_logits(case, folder):
    """Ours, for images of which no two are alike."""
    import array
    import random
    shape = case["shape"]
    count = 2 * shape["channels"] * shape["height"] * shape["width"]
    draw = random.Random(1)
    (folder / "images").write_bytes(array.array("f", (draw.gauss(0, 1) for _ in range(count))).tobytes())
    with open(folder / "logits", "w") as logits:
        subprocess.run([MODEL_LOGITS, case["model"], json.dumps(case["options"]), str(shape["channels"]),
                        str(shape["height"]), str(shape["classes"]), folder / "epoch-1.safetensors", folder / "images"],
                       check=True, stdout=logits)


def main():
    python = os.environ.get("HEADSTART_TEST_PYTHON")
    if not python:
        skip("no Python with torch and torchvision; tests/run.sh --with-python makes one (about 5 GB)")
    reader = subprocess.Popen([python, "-c", PYTHON, str(FOLDER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True)
    cases = json.loads(reader.stdout.readline())
    if isinstance(cases, str):
        skip(f"{python}: {cases}")
    failed = []
    for name in CASES:
        with Folder() as folder:
            shape = cases[name]["shape"]
            train_alone(folder, {cases[name]["model"]: cases[name]["options"]}, shape["height"], epochs=1)
            give_logits(cases[name], folder)
            reader.stdin.write(f"{name} {folder}\n")
            reader.stdin.flush()
            difference = float(reader.stdout.readline())
            print(f"{name}: logits differ by {difference:.1e} of the largest", flush=True)
            if not difference <= 1e-5:
                failed.append(name)
    reader.stdin.close()
    assert reader.wait() == 0
    assert not failed, f"logits of {failed} differ"


if __name__ == "__main__":
    main()
