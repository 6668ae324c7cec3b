"""A plug-in from outside the tree: installed headers, a study over its options, and what is refused.

  plugins_test.py BUILD CMAKE     the build folder to install from, and cmake
"""
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import harness  # noqa: E402
from harness import ROOT, Cluster, Folder, wait_until, write_study  # noqa: E402

BUILD, CMAKE = pathlib.Path(sys.argv[1]), sys.argv[2]
EXAMPLE = ROOT / "examples" / "plugin"


def run(*command):
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert result.returncode == 0, f"{command}: {result.stdout}{result.stderr}"
    return result.stdout


def install_and_build(folder):
    """An installed headstart, and the example built against it: its .so."""
    for component in ("programs", "plugin"):
        run(CMAKE, "--install", BUILD, "--prefix", folder / "prefix", "--component", component)
    source = folder / "example"
    shutil.copytree(EXAMPLE, source)
    run(CMAKE, "-S", source, "-B", folder / "build", f"-DCMAKE_PREFIX_PATH={folder / 'prefix'}")
    run(CMAKE, "--build", folder / "build")
    return folder / "build" / "example_plugin.so"


def shape_of(file, tensor):
    with open(file, "rb") as bytes_of:
        size, = struct.unpack("<Q", bytes_of.read(8))
        return json.loads(bytes_of.read(size))[tensor]["shape"]


def check_study(folder, plugins):
    """`headstart run` searches the model's options on the plug-in's data, and trains from the winner."""
    said = run(folder / "prefix" / "bin" / "headstart", "run", EXAMPLE / "study.yaml", "--data", folder / "run",
               "--plugins", plugins, "--slots", 2)
    print(said)
    words = said.split()
    values = {name: int(words[words.index(f"model.plugin.options_json#/{name}:") + 1]) for name in ("width", "depth")}
    weights, = (folder / "run" / "results").glob("*.safetensors")
    assert shape_of(weights, "layers.0.weight") == [values["width"], 144], values
    assert shape_of(weights, f"layers.{values['depth']}.weight") == [4, values["width"]], values


def study(model="{plugin: {name: example_mlp, version: \"1\"}}", path="model.plugin.options_json#/width", most=64):
    return f"""\
training:
  model: {model}
  dataset: {{plugin: {{name: example_corners, version: "1", images: {{validation_examples: 100}}}}}}
  epochs: 1
  batch_size: 20
  optimizer: {{adam: {{learning_rate: 0.003}}}}
search:
  parameters: [{{path: "{path}", integer: {{min: 1, max: {most}}}}}]
  random: {{trial_count: 2}}
objective: {{metric: VALIDATION_ACCURACY, goal: MAXIMIZE}}
"""


def check_refusals(cluster, folder):
    mlp = "{plugin: {name: example_mlp, version: \"%s\", options_json: '%s'}}"
    for what, text, words in [
        ("range above the option's", study(most=5000),
         ["model.plugin.options_json#/width", "must be from 1 to 4096, got 5000"]),
        ("option that is not there", study(path="model.plugin.options_json#/wdth"),
         ["names no option of plug-in example_mlp 1", "activation, depth, width"]),
        ("value that is not allowed", study(mlp % ("1", '{"activation": "sine"}')),
         ["training.model.plugin.options_json#/activation", "one of \"relu\", \"tanh\", got \"sine\""]),
        ("options that are no JSON", study(mlp % ("1", "{")), ["training.model.plugin.options_json", "is not JSON"]),
        ("version that nobody has", study(mlp % ("2", "{}")),
         ["training.model.plugin: no worker has model plug-in example_mlp 2", "workers/worker1 has model plug-in example_mlp 1",
          "could not load old.so: it was built for torch 2.0.0", f"has torch {torch_version()}"]),
    ]:
        result = cluster.headstart("studies", "create", "-f", write_study(folder / "s.yaml", text), check=False)
        said = result.stdout + result.stderr
        print(f"{what}: {said.strip()}", flush=True)
        missing = [word for word in words if word not in said]
        assert result.returncode == 1 and not missing, f"{what}: no {missing} in: {said}"
    assert cluster.rows("studies", "list") == [], "something was half created"


def torch_version():
    header = (pathlib.Path(os.environ["HEADSTART_TORCH_DIR"]) if "HEADSTART_TORCH_DIR" in os.environ else
              pathlib.Path(next(line.split("=", 1)[1] for line in (BUILD / "CMakeCache.txt").read_text().splitlines()
                                if line.startswith("HEADSTART_TORCH_DIR:"))))
    lines = (header / "include/torch/headeronly/version.h").read_text().splitlines()
    return ".".join(line.split()[-1] for part in ("MAJOR", "MINOR", "PATCH") for line in lines
                    if f"define TORCH_VERSION_{part} " in line)


def check_throwing(cluster, folder):
    """A plug-in that throws fails its run alone, with its name and words, and the worker goes on."""
    def train(mood):
        text = f"""\
training:
  model: {{plugin: {{name: one_layer, version: "1", options_json: '{{"mood": "{mood}"}}'}}}}
  dataset: {{plugin: {{name: example_corners, version: "1", images: {{validation_examples: 100}}}}}}
  epochs: 1
  batch_size: 20
  optimizer: {{adam: {{learning_rate: 0.003}}}}
seeds: [1]
"""
        name = cluster.rows("trainings", "create", "-f", write_study(folder / "t.yaml", text))[-1]["name"]

        def ended():
            assert cluster.agents["worker1"].alive(), "the worker ended"
            training = cluster.rows("trainings", "get", name)[0]
            return training if training["state"] in ("SUCCEEDED", "FAILED") else None
        return wait_until(ended, f"end of {name}")["runs"][0]

    for mood, state, reason, words in [
        ("throws in forward", "FAILED", "EXCEPTION", ["in a run with model plug-in one_layer 1", "no forward"]),
        ("throws a number in forward", "FAILED", "EXCEPTION", ["model plug-in one_layer 1", "no std::exception"]),
        ("throws", "FAILED", "EXCEPTION", ["model plug-in one_layer 1", "no model"]),
        ("gives none", "FAILED", "EXCEPTION", ["model plug-in one_layer 1 (test_plugin_good.so)", "made no model"]),
        ("refuses", "INFEASIBLE", "INVALID_SPEC", ["model plug-in one_layer 1", "I do not like that"]),
    ]:
        ended = train(mood)
        failure = ended["failure"]
        print(f"{mood}: {ended['state']} {failure['reason']} {failure['message']}", flush=True)
        assert (ended["state"], failure["reason"]) == (state, reason), ended
        assert all(word in failure["message"] for word in words), failure
    assert train("good")["state"] == "SUCCEEDED"


def main():
    with Folder() as folder:
        plugin = install_and_build(folder)
        plugins = folder / "plugins"
        plugins.mkdir()
        shutil.copy(plugin, plugins)
        harness.BIN = folder / "prefix" / "bin"
        check_study(folder, plugins)

        # One for another LibTorch, one that is none, and one that throws when it is asked to.
        ours = f"torch={torch_version()}\n".encode()
        bytes_of = plugin.read_bytes()
        assert bytes_of.count(ours) == 1
        other = b"torch=2.0.0\n"
        (plugins / "old.so").write_bytes(bytes_of.replace(ours, other + b"\n" * (len(ours) - len(other))))
        (plugins / "text.so").write_text("no library")
        shutil.copy(BUILD / "worker" / "plugin" / "test_plugins" / "test_plugin_good.so", plugins)
        (folder / "c").mkdir()
        cluster = Cluster(folder / "c", agent_flags=["--plugins", plugins]).start(slots="cpu:1")
        try:
            worker = wait_until(lambda: next(iter(cluster.rows("workers", "list")), None), "worker")
            assert [plugin["name"] for plugin in worker["plugins"]] == ["example_mlp", "example_corners", "one_layer", "two_greys"]
            assert [refused["file"] for refused in worker["refused_plugins"]] == ["old.so", "text.so"], worker
            check_refusals(cluster, folder)
            check_throwing(cluster, folder)
        finally:
            cluster.stop()


main()
