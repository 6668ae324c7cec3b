"""Python's safetensors and a three-line PyTorch LeNet load the downloaded file and reach the accuracy that was reported,
to the example. Needs a Python with torch, numpy and safetensors: tests/run.sh --with-python makes one and names it in
HEADSTART_TEST_PYTHON.
"""
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from harness import DATASETS, Cluster, Folder, skip, small_study, write_study  # noqa: E402

CHECK = r"""
import gzip, re, struct, sys
import numpy, torch
from safetensors import safe_open
from safetensors.torch import load_file

file, mnist = sys.argv[1:]
class LeNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(784, 300), torch.nn.ReLU(), torch.nn.Linear(300, 100),
                                          torch.nn.ReLU(), torch.nn.Linear(100, 10))
model = LeNet()
model.load_state_dict(load_file(file), strict=True)
transform = safe_open(file, "pt").metadata()["input_transform"]
mean, deviation = (float(re.search(word + r" ([0-9.]+)", transform).group(1)) for word in ("mean", "std"))
images = numpy.frombuffer(gzip.open(mnist + "/t10k-images-idx3-ubyte.gz").read(), numpy.uint8, offset=16).reshape(-1, 784)
labels = numpy.frombuffer(gzip.open(mnist + "/t10k-labels-idx1-ubyte.gz").read(), numpy.uint8, offset=8)
inputs = (torch.tensor(images).float() / 255 - mean) / deviation
with torch.no_grad():
    right = int((model.layers(inputs).argmax(1) == torch.tensor(labels.astype(numpy.int64))).sum())
print(right)
"""


def main():
    python = os.environ.get("HEADSTART_TEST_PYTHON")
    if not python:
        skip("no Python with torch and safetensors; tests/run.sh --with-python makes one (about 5 GB)")
    with Folder() as folder:
        cluster = Cluster(folder).start()
        try:
            study = cluster.create_study(write_study(folder / "s.yaml", small_study("random: {trial_count: 2}", examples=5000)))
            best = cluster.wait_study(study)["best_trial"]
            epoch = cluster.rows("trials", "get", best)[0]["epochs"][-1]
            reported = epoch["measurement"]["test_accuracy"]
            out = folder / "winner.safetensors"
            cluster.headstart("checkpoints", "download", epoch["checkpoint"], "-o", out)
            right = int(subprocess.run([python, "-c", CHECK, str(out), str(pathlib.Path(DATASETS) / "mnist")],
                                       check=True, capture_output=True, text=True).stdout)
            assert right == round(reported * 10000), f"Python: {right} of 10,000 right; reported {reported}"
            print(f"{right} of 10,000 right in Python and here")
            cluster.stop()
        finally:
            cluster.kill()


if __name__ == "__main__":
    main()
