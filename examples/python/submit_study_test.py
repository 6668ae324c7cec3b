"""submit_study.py against real servers: its study is tuned, and it prints the winner that headstart names.

Takes the Python of HEADSTART_TEST_PYTHON, or makes a small virtual environment in the folder that is its argument.
"""
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "end_to_end"))
from harness import Cluster, Folder, skip  # noqa: E402

NEEDS = "import grpc, grpc_tools.protoc, google.protobuf.message_factory as f; f.GetMessageClass"


def can_run(python):
    try:
        return subprocess.run([python, "-c", NEEDS], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def python_with_grpcio(folder):
    python = str(folder / "bin" / "python")
    for candidate in (os.environ.get("HEADSTART_TEST_PYTHON"), sys.executable, python):
        if candidate and can_run(candidate):
            return candidate
    for command in ([sys.executable, "-m", "venv", str(folder)],
                    [python, "-m", "pip", "install", "--quiet", "--no-input", "grpcio", "grpcio-tools"]):
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode != 0:
            said = (result.stderr + result.stdout).strip().splitlines() or ["no word"]
            skip(f"grpcio and grpcio-tools cannot be installed: {said[-1]}")
    return python


def main():
    python = python_with_grpcio(pathlib.Path(sys.argv[1]))
    with Folder() as folder:
        cluster = Cluster(folder).start()
        try:
            result = subprocess.run([python, str(ROOT / "examples" / "python" / "submit_study.py"), "--data", str(folder),
                                     "--trials", "6", "--examples", "1000"], capture_output=True, text=True, timeout=300)
            assert result.returncode == 0, result.stdout + result.stderr
            best = cluster.study("studies/1")["best_trial"]
            assert f"winner {best}: " in result.stdout, result.stdout
            for path in ("optimizer.adam.learning_rate", "batch_size", "initializer"):
                assert f"  {path} = " in result.stdout, result.stdout

            refused = subprocess.run([python, str(ROOT / "examples" / "python" / "submit_study.py"), "--data", str(folder),
                                      "--trials", "0"], capture_output=True, text=True, timeout=60)
            assert refused.returncode == 1 and "INVALID_ARGUMENT" in refused.stderr, refused.stderr
            assert "trial_count" in refused.stderr, refused.stderr
            print(result.stdout)
            cluster.stop()
        finally:
            cluster.kill()


if __name__ == "__main__":
    main()
