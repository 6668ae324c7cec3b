"""Files survive their way in parts, in any order and over several calls; damage is named."""
import pathlib
import subprocess
import sys
import tempfile

TOOL = pathlib.Path(__file__).with_name("gpu_parts.py")


def run(*arguments):
    return subprocess.run([sys.executable, str(TOOL), *map(str, arguments)], capture_output=True, text=True)


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        big, empty = folder / "big.tar", folder / "empty"
        big.write_bytes(bytes(i * 7 % 251 for i in range(100_000)))
        empty.write_bytes(b"")
        assert run("split", big, empty, "--into", folder / "parts", "--bytes", 30_000).returncode == 0
        parts = sorted((folder / "parts").glob("big.tar.0*"))
        assert [part.stat().st_size for part in parts] == [30_000, 30_000, 30_000, 10_000], parts

        # Two trips, the last part first.
        state = folder / "state"
        for trip, chosen in ((1, [parts[3], parts[0]]), (2, [parts[1]])):
            sent = folder / f"trip{trip}"
            sent.mkdir()
            for file in [*chosen, *(folder / "parts").glob("*.manifest"), folder / "parts" / "empty.000"]:
                (sent / file.name).write_bytes(file.read_bytes())
            result = run("merge", sent, "--into", state)
            assert result.returncode == 3 and "big.tar.002" in result.stdout, result
        assert (state / "empty").read_bytes() == b""

        damaged = folder / "damaged"
        damaged.mkdir()
        (damaged / "big.tar.002").write_bytes(b"\0" * 30_000)
        result = run("merge", damaged, "--into", state)
        assert result.returncode == 1 and "big.tar.002: not what its manifest says" in result.stderr, result
        assert not (state / "big.tar").exists()

        assert run("merge", folder / "parts", "--into", state).returncode == 0
        assert (state / "big.tar").read_bytes() == big.read_bytes()
        assert not list(state.glob("big.tar.0*"))
        assert run("merge", folder / "parts", "--into", state).returncode == 0  # Again: nothing to do.


if __name__ == "__main__":
    main()
