#!/usr/bin/env python3
"""Files in parts, for machines to which only so many bytes travel at once.

    python3 bench/gpu_parts.py split FILE... --into FOLDER [--bytes 16000000]
        FILE.000, FILE.001, ... of at most so many bytes, and FILE.manifest: size and SHA-256 of the whole and each part
    python3 bench/gpu_parts.py merge FOLDER --into STATE
        takes the parts that are in FOLDER into STATE, and makes each file whose parts have all come. Ends with 3 and the
        missing parts while there are any; parts may come in any order, several times, and with several calls

A part whose checksum is wrong is refused and named; nothing of it is kept.
"""
import argparse
import hashlib
import json
import os
import pathlib
import shutil
import sys

MISSING = 3


def digest(data):
    return hashlib.sha256(data).hexdigest()


def write(path, data):
    """All or nothing: a command that is cut off leaves no half part."""
    new = path.with_name(path.name + ".new")
    new.write_bytes(data)
    os.replace(new, path)


def split(files, into, part_bytes):
    into.mkdir(parents=True, exist_ok=True)
    for file in files:
        data = file.read_bytes()
        parts = []
        for number, at in enumerate(range(0, max(len(data), 1), part_bytes)):
            part = data[at:at + part_bytes]
            parts.append({"name": f"{file.name}.{number:03}", "bytes": len(part), "sha256": digest(part)})
            write(into / parts[-1]["name"], part)
        manifest = {"name": file.name, "bytes": len(data), "sha256": digest(data), "parts": parts}
        write(into / f"{file.name}.manifest", json.dumps(manifest, indent=1).encode())


def merge(folder, state):
    state.mkdir(parents=True, exist_ok=True)
    for manifest in folder.glob("*.manifest"):
        shutil.copy(manifest, state / manifest.name)
    missing = []
    for path in sorted(state.glob("*.manifest")):
        manifest = json.loads(path.read_text())
        whole = state / manifest["name"]
        if whole.exists() and digest(whole.read_bytes()) == manifest["sha256"]:
            continue
        absent = []
        for part in manifest["parts"]:
            kept, came = state / part["name"], folder / part["name"]
            if not kept.exists() and came.exists():
                data = came.read_bytes()
                if digest(data) != part["sha256"]:
                    sys.exit(f"{came}: not what its manifest says; bring it again")
                write(kept, data)
            if not kept.exists():
                absent.append(part["name"])
        if absent:
            missing += absent
            continue
        data = b"".join((state / part["name"]).read_bytes() for part in manifest["parts"])
        if digest(data) != manifest["sha256"]:
            sys.exit(f"{whole}: its parts make another file than was split; bring all anew")
        write(whole, data)
        for part in manifest["parts"]:
            (state / part["name"]).unlink()
        print(f"{whole}: whole, {len(data)} bytes")
    if missing:
        print("missing: " + " ".join(missing))
    return MISSING if missing else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("split")
    one.add_argument("files", nargs="+", type=pathlib.Path)
    one.add_argument("--into", required=True, type=pathlib.Path)
    one.add_argument("--bytes", type=int, default=16_000_000)
    other = commands.add_parser("merge")
    other.add_argument("folder", type=pathlib.Path)
    other.add_argument("--into", required=True, type=pathlib.Path)
    arguments = parser.parse_args()
    if arguments.command == "split":
        split(arguments.files, arguments.into, arguments.bytes)
        return 0
    return merge(arguments.folder, arguments.into)


if __name__ == "__main__":
    sys.exit(main())
