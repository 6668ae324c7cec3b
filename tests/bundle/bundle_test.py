"""A bundle of the programs under test runs a study in an empty, newer Debian with nothing but LibTorch mounted.

The root is made by debootstrap (once, in .cache/) and entered in a mount namespace of its own, so that no mount outlives the
test. Needs root, debootstrap and a Debian mirror; skipped with the reason otherwise.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "end_to_end"))
from harness import BIN, DATASETS, Folder, skip, small_study, write_study  # noqa: E402

RELEASE = "trixie"
# Programs of other builds than release hold the assertions of Abseil's templates, with their long names.
BYTES_MAX = {"Release": 40e6}
BYTES_MAX_WITH_ASSERTIONS = 46e6
# All that the programs may take from the system; docs/decisions/0006-the-bundle-leaves-openssl.md says why.
FROM_SYSTEM = re.compile(r"^\s*(linux-vdso|/lib64/ld-linux|lib(c|m|dl|rt|pthread|resolv|gcc_s|stdc\+\+|crypto|ssl)\.so)")


def run(*command, **options):
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, stdin=subprocess.DEVNULL, **options)
    assert result.returncode == 0, f"{' '.join(map(str, command))}:\n{result.stdout[-4000:]}{result.stderr[-4000:]}"
    return result.stdout


def empty_root():
    """A minimal system of the newer release, kept for the next run."""
    root = ROOT / ".cache" / RELEASE
    if (root / "finished").exists():
        return root
    if os.geteuid() != 0:
        skip("making an empty root needs root")
    if not shutil.which("debootstrap"):
        skip("no debootstrap (apt-get install debootstrap)")
    shutil.rmtree(root, ignore_errors=True)
    root.parent.mkdir(exist_ok=True)
    made = subprocess.run(["debootstrap", "--variant=minbase", RELEASE, str(root)], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)
    if made.returncode != 0:
        skip(f"debootstrap made no {RELEASE}: {(made.stdout + made.stderr).strip().splitlines()[-1:]}")
    (root / "finished").touch()
    return root


class Inside:
    """Runs commands in the root, in namespaces of their own."""

    def __init__(self, root, folder, mounts):
        self.root = root
        self.folder = folder
        self.mounts = {**mounts, "/tmp": folder}
        if subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True).returncode != 0:
            skip("this machine gives no mount namespace (unshare --mount)")

    def __call__(self, command, **environment):
        lines = ["set -e", f"cd {self.root}"]
        for inside, outside in self.mounts.items():
            options = "bind" if inside == "/tmp" else "bind,ro"
            lines += [f"mkdir -p .{inside}", f"mount -o {options} {outside} .{inside}"]
        settings = " ".join(f"{name}={value}" for name, value in environment.items())
        lines += ["mount -t proc proc proc", f"exec chroot . /usr/bin/env -i PATH=/usr/bin {settings} sh -c '{command}'"]
        return run("unshare", "--mount", "--pid", "--fork", "--kill-child", "bash", "-c", "\n".join(lines), timeout=600)


def main():
    torch = os.environ.get("HEADSTART_TORCH_DIR")
    cache = (BIN.parent / "CMakeCache.txt").read_text()
    build_type = re.search(r"^CMAKE_BUILD_TYPE:\w+=(.*)$", cache, re.M)[1]
    if not torch:
        torch = re.search(r"^HEADSTART_TORCH_DIR:\w+=(.*)$", cache, re.M)[1]
    root = empty_root()
    with Folder() as folder:
        bundle = folder / "bundle"
        run("bash", ROOT / "deploy" / "bundle.sh", "--bin", BIN, "--output", bundle)
        size = sum(file.lstat().st_size for file in bundle.rglob("*"))
        assert size < BYTES_MAX.get(build_type, BYTES_MAX_WITH_ASSERTIONS), f"the bundle has {size / 1e6:.1f} MB"

        unlicensed = [file.name for file in (bundle / "lib").iterdir()
                      if not any(file.name in text.read_text().splitlines()[0] for text in (bundle / "licenses").iterdir())]
        assert not unlicensed, unlicensed

        # Together with torch come the folders beside it, where its own run path finds CUDA's libraries.
        inside = Inside(root, folder, {"/opt/headstart": bundle, "/opt/site": pathlib.Path(torch).parent, "/opt/data": DATASETS})
        for program in sorted((bundle / "bin").iterdir()):
            inside(f"/opt/headstart/bin/{program.name} --version", HEADSTART_TORCH_DIR="/opt/site/torch")
            if program.name != "headstart-trainer":
                libraries = inside(f"ldd /opt/headstart/bin/{program.name}")
                strangers = [line for line in libraries.splitlines()
                             if "/opt/headstart/" not in line and (not FROM_SYSTEM.match(line) or "not found" in line)]
                assert not strangers, strangers

        write_study(folder / "study.yaml", small_study(
            "asha: {trial_count: 4, min_epochs: 1, reduction: 3}",
            extra="then: [{from: {winner: {epoch: 1}}, epochs: 1, seeds: [1], training: {evaluate: TEST_EVERY_EPOCH}}]\n"))
        said = inside("/opt/headstart/bin/headstart run /tmp/study.yaml --data /tmp/data --datasets /opt/data --slots 2",
                      HEADSTART_TORCH_DIR="/opt/site/torch")
        file = re.search(r"\S+\.safetensors", said)
        assert file, said
        print(f"{size / 1e6:.1f} MB; in {RELEASE}:\n{said}")

        without = subprocess.run([str(bundle / "bin" / "headstart-trainer"), "--version"], capture_output=True, text=True,
                                 env={"PATH": os.environ["PATH"]})
        assert without.returncode == 1 and "HEADSTART_TORCH_DIR" in without.stderr, without


if __name__ == "__main__":
    main()
