"""Checks what compilers do not: who includes whom, banned calls, forgotten files.

    python3 tests/tidy/tidy.py ROOT [BUILD]

Prints one line per finding and ends with 1 if there is any. With the build
folder it also reads link lines and include folders. tidy_test.py shows each
check a sample that it must object to.
"""

import fnmatch
import itertools
import json
import pathlib
import re
import sys

# ---------------------------------------------------------------- the rules

# Which folders a folder may include, beside itself. The picture is in
# docs/architecture.md. A * stands for all folders below that one.
MAY_INCLUDE = {
    "base": [],
    "base/net": ["base"],
    "storage/codec": ["base"],
    "storage/safetensors": ["base"],
    "storage/blob": ["base", "base/net", "proto"],
    "storage/pack": ["base", "storage/blob", "storage/codec"],
    "storage/catalog": ["base", "base/net", "proto", "storage/blob",
                        "storage/pack"],
    "storage/retention": ["base", "base/net", "proto", "storage/blob",
                          "storage/catalog", "storage/pack"],
    "storage/server": ["base", "base/net", "proto", "storage/*"],
    "proto": ["base"],
    "scheduler/search": ["proto"],  # And PURE_MAY_INCLUDE.
    "scheduler/core": ["proto", "scheduler/search"],
    "scheduler/journal": ["base", "proto"],
    "scheduler/report": ["proto"],  # And PURE_MAY_INCLUDE.
    "scheduler/service": ["base", "base/net", "proto", "scheduler/*"],
    "worker/trainer_protocol": ["base"],
    "worker/dataset_files": ["base"],
    "worker/agent": ["base", "base/net", "proto", "worker/trainer_protocol",
                     "storage/blob", "storage/catalog",
                     # Says which data sets this machine has.
                     "worker/dataset_files"],
    "worker/spec_fields": [],
    "worker/models": ["base", "worker/spec_fields",
                      # own_default.h: what a model starts with by itself.
                      "initializers", "initializers/classic"],
    "worker/plugin": ["base", "worker/models", "worker/trainer_protocol"],
    "worker/datasets": ["base", "worker/dataset_files", "worker/plugin"],
    "worker/training": ["base", "worker/models", "worker/datasets"],
    "worker/cuda": ["base", "worker/datasets", "worker/training"],
    "worker/measurement": ["base", "worker/models", "worker/datasets"],
    "initializers": ["base", "initializers/*"],
    "initializers/classic": ["base", "initializers"],
    "initializers/transferred": ["base", "initializers", "initializers/classic",
                                 "storage/safetensors"],
    "worker/trainer": ["base", "initializers", "storage/safetensors",
                       "worker/cuda", "worker/datasets", "worker/measurement",
                       "worker/models", "worker/plugin",
                       "worker/spec_fields", "worker/trainer_protocol",
                       "worker/training"],
    "client": ["base", "base/net", "proto", "storage/blob", "storage/catalog"],
    "client/plot": ["base"],
    "client/report": ["base", "client/plot", "proto"],
    "client/cli": ["base", "base/net", "proto", "client", "client/report",
                   "storage/blob",
                   "storage/catalog", "storage/safetensors",
                   # `headstart datasets` lists and verifies without a worker.
                   "worker/dataset_files"],
    "tests": ["*"],
    "bench": ["*"],
    # A plug-in: what is installed for them.
    "examples": ["worker/plugin"],
}

# The scheduler's decisions and reports are pure functions: this is all of base they see.
PURE = ["scheduler/core", "scheduler/report", "scheduler/search"]
PURE_MAY_INCLUDE = ["base/check.h", "base/names.h", "base/random_stream.h",
                    "base/status_macros.h"]

PROTO_FOLDERS = ["proto/*", "base/net/*", "scheduler/*", "storage/catalog/*",
                 "storage/blob/remote_*", "storage/retention/*",
                 "storage/server/*", "client/*", "worker/agent/*"]
# How an included name begins -> the only files that may include it. Tests and
# benches may all.
LIBRARIES = {
    r"(torch|ATen|c10|cuda)[/_]": [
        "worker/trainer/*", "worker/models/*", "worker/plugin/*",
        "worker/datasets/*", "worker/training/*", "worker/measurement/*",
        "worker/cuda/*", "initializers/*"],
    r"grpc(pp)?/|.*\.grpc\.pb\.h": [
        "base/net/*", "scheduler/service/*", "storage/server/*",
        "storage/*/remote_*", "client/*", "worker/agent/*"],
    r"google/protobuf/|.*\.pb\.h": PROTO_FOLDERS,
    r"nlohmann/": ["worker/trainer_protocol/*", "worker/trainer/*",
                    "worker/spec_fields/*", "worker/models/registry.cc",
                    "worker/plugin/options.cc", "client/plot/figure_json.cc",
                    "storage/safetensors/*"],
    r"rocksdb/": ["scheduler/journal/rocksdb_*", "storage/pack/rocksdb_*",
                   "storage/catalog/rocksdb_*"],
    r"openssl/": ["storage/blob/digest.cc", "scheduler/service/request_key.cc"],
    r"boost/": ["scheduler/report/*"],
    r"zstd": ["storage/codec/*"],
    r"isa-l": ["storage/pack/*"],
    r"zlib": ["worker/dataset_files/*"],
    r"CLI/": ["*/main.cc", "client/cli/*"],
    r"yaml-cpp/": ["client/cli/*"],
    r"(spdlog|fmt)/": ["base/log.h", "base/log.cc"],
    r"prometheus/": ["base/net/telemetry.*", "*.cc"],
    r"(gtest|gmock|benchmark)/": [],
}

# rocksdb_journal.h beside journal.h: the class behind an interface is named
# where a process is wired together.
CONCRETE = re.compile(r"/(rocksdb|memory|remote)_(?=\w+\.h$)")
MAY_NAME_CONCRETE = ["*/main.cc", "*/registry.cc"]

# Call -> the only files that may make it.
BANNED_CALLS = {
    # Processes under test have no clock that a test could set.
    r"absl::Now\(|(steady|high_resolution)_clock::now":
        ["base/clock.cc", "base/mutex.h", "tests/support/process.cc"],
    r"\b(sleep|usleep|nanosleep|SleepFor|sleep_for|sleep_until)\(":
        ["base/clock.cc", "tests/support/process.cc"],
    # The deadline of a call is an instant of this clock.
    r"system_clock::now": ["base/clock.cc", "base/net/*", "storage/*/remote_*",
                           "client/*", "worker/agent/*", "scheduler/service/*"],
    r"(?<![\w.>:])s?rand\(|std::random_device|std::(mt19937|minstd)|absl::BitGen":
        ["base/random_stream.cc"],
    r"\bmanual_seed\(": ["worker/trainer/*"],
}
# In PURE, beside those.
PURE_BANNED = r"\b(Mutex|mutex|std::thread|std::jthread)\b"
# A walk over one of these could reach an event in another order on replay: who
# only looks things up says so in the comment above: never walked.
PURE_EXPLAINED = r"(flat|node)_hash_(map|set)<|unordered_(map|set)<"

LINES_MAX = 600
LONGER = {}  # path: why it may be

MACHINE_PATH = re.compile(r"(?<![\w.$}])/(work|home|root|Users)/\w[\w./-]*")
MACHINE_PATHS_ALLOWED = ["tests/tidy/*"]

SKIPPED_FOLDERS = {".git", "build", ".venv", ".cache", "dist", "headstart-data",
                   "__pycache__"}
TEXT = (".h .cc .cu .proto .cmake .txt .md .py .sh .yml .yaml .json .html "
        ".service").split()

INCLUDE = r'\s*#include ["<]([^">]+)[">]'

# ------------------------------------------------------------------ helpers


class Tree:
    """Text files by their path from the root."""

    def __init__(self, files):
        self.files = files
        self.known = set(files)  # And their folders.
        for path in files:
            self.known.update(map(str, pathlib.PurePath(path).parents))

    @staticmethod
    def read(root):
        files = {}
        for path in sorted(root.rglob("*")):
            name = path.relative_to(root)
            if set(name.parts) & SKIPPED_FOLDERS or not path.is_file():
                continue
            text = path.suffix in TEXT or path.name == "run"
            files[name.as_posix()] = path.read_text() if text else ""
        return Tree(files)

    def lines(self, *patterns):
        """Yields (path, line number, line) of the files that match."""
        for path in self.matching(*patterns):
            for number, line in enumerate(self.files[path].splitlines(), 1):
                yield path, number, line

    def matching(self, *patterns):
        return [path for path in self.files if matches(path, patterns)]

    def exists(self, name):
        """Whether a file or folder is called that; * and {a,b} work."""
        return all(one.rstrip("/") in self.known or
                   ("*" in one and fnmatch.filter(self.known, one.rstrip("/")))
                   for one in braces(name))


def matches(path, patterns):
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


def braces(name):
    """x.{h,cc} -> x.h, x.cc"""
    parts = [part.split(",") for part in re.split(r"[{}]", name)]
    return ["".join(choice) for choice in itertools.product(*parts)]


def is_test(path):
    return (path.startswith(("tests/", "bench/", "examples/")) or path.endswith("_test.cc")
            or re.search(r"/((fake|stub|test)_\w+|\w+_(fixture|for_tests))\.(h|cc)$",
                         path) is not None)


def folder_of(path):
    """The deepest folder with rules of its own that holds this path."""
    best = ""
    for folder in [*MAY_INCLUDE, "proto"]:
        if path.startswith(folder + "/") and len(folder) > len(best):
            best = folder
    return best


def code_of(line):
    """The line without its comment and without what stands in quotes."""
    return re.sub(r"//.*", "", re.sub(r'"(\\.|[^"\\])*"', '""', line))


# ------------------------------------------------------------------- checks
# Each takes a Tree and yields findings.


def check_includes(tree):
    """Folders include what MAY_INCLUDE says."""
    ours = {folder.split("/")[0] for folder in MAY_INCLUDE} | {"headstart"}
    for path, number, line in tree.lines("*.h", "*.cc"):
        match = re.match(INCLUDE, line)
        if not match or match[1].split("/")[0] not in ours:
            continue
        where, header = f"{path}:{number}", match[1]
        folder = folder_of(path)
        if not folder:
            yield f"{where}: this folder is not in MAY_INCLUDE of tests/tidy/tidy.py"
            continue
        below = "proto" if header.startswith("headstart/") else folder_of(header)
        if header not in tree.files and below != "proto":
            yield f"{where}: \"{header}\" is no file; includes start at the root"
        elif is_test(path):
            pass
        elif below in ("tests", "bench"):
            yield f"{where}: includes \"{header}\"; only tests may"
        elif folder in PURE and below.startswith("base"):
            if header not in PURE_MAY_INCLUDE:
                yield (f"{where}: includes \"{header}\"; {folder} is pure and sees "
                       f"only {', '.join(PURE_MAY_INCLUDE)}")
        elif below != folder and not matches(below, MAY_INCLUDE[folder]):
            yield f"{where}: {folder} may not include {below} (\"{header}\")"
        elif (CONCRETE.sub("/", header, 1) in tree.files.keys() - {header}
              and below != folder
              and not matches(path, MAY_NAME_CONCRETE)
              and not folder.startswith(("client", "worker/agent"))):
            yield (f"{where}: names the class of \"{header}\"; only main.cc, "
                   "registries and tests do, others use its interface")


def check_libraries(tree):
    """Each library is used only where LIBRARIES says."""
    for path, number, line in tree.lines("*.h", "*.cc"):
        match = re.match(INCLUDE, line)
        if is_test(path) or not match or match[1] in tree.files:
            continue
        for pattern, allowed in LIBRARIES.items():
            if re.match(pattern, match[1]) and not matches(path, allowed):
                yield (f"{path}:{number}: {match[1]}: only in "
                       f"{', '.join(allowed) or 'tests'}")


def check_banned_calls(tree):
    """Time, sleep and chance come from base only."""
    for path, number, line in tree.lines("*.h", "*.cc"):
        code = code_of(line)
        for pattern, allowed in BANNED_CALLS.items():
            match = re.search(pattern, code)
            if match and not matches(path, allowed):
                yield (f"{path}:{number}: {match[0]}: only in {', '.join(allowed)}; "
                       "others use Clock or RandomStream")
        if folder_of(path) in PURE and not is_test(path):
            match = re.search(PURE_BANNED, code)
            if match:
                yield f"{path}:{number}: {match[0]}: {folder_of(path)} has no threads"
            match = re.search(PURE_EXPLAINED, code)
            above = tree.files[path].splitlines()[max(0, number - 4):number - 1]
            if match and not any("never walked" in line for line in above):
                yield (f"{path}:{number}: {match[0]}: its order differs between "
                       "runs; use absl::btree_map, or say that it is never walked")


def check_cmake_lists(tree):
    """Every source is in the CMakeLists.txt of its folder or the next above."""
    for path in tree.matching("*.h", "*.cc", "*.proto"):
        if path.endswith(".h") and is_test(path):
            continue
        for parent in pathlib.PurePath(path).parents:
            listing = str(parent / "CMakeLists.txt")
            if listing in tree.files:
                break
        name = str(pathlib.PurePath(path).relative_to(parent))
        names = {name, name.removesuffix(".cc")}  # headstart_test(x_test ..)
        if not names & set(re.findall(r"[\w./-]+", tree.files.get(listing, ""))):
            yield f"{path}: is in no CMakeLists.txt; list it in {listing}"


def check_length(tree):
    """Nothing over LINES_MAX lines without a reason in LONGER."""
    for path in tree.matching("*.h", "*.cc", "*.py", "*.sh", "*.proto", "*.cmake"):
        count = len(tree.files[path].splitlines())
        if count > LINES_MAX and path not in LONGER:
            yield (f"{path}: {count} lines; at most {LINES_MAX}. Divide it, or say "
                   "in LONGER of tests/tidy/tidy.py why not")


def check_first_lines(tree):
    """Sources begin with a sentence; headers have #pragma once."""
    for path in tree.matching("*.h", "*.cc", "*.proto"):
        text = tree.files[path]
        explained = path.removesuffix(".cc") + ".h" in tree.files or is_test(path)
        if not text.startswith("// ") and not explained:
            yield f"{path}:1: begin with a sentence on what the file is for"
        if path.endswith(".h") and "\n#pragma once\n" not in text:
            yield f"{path}: no #pragma once"


def check_names_in_docs(tree):
    """Files that documents and comments name exist."""
    tops = {path.split("/")[0] for path in tree.files if "/" in path}
    name = re.compile(r"(?<![\w/.:$-])(?:%s)/[\w./{},*-]*[\w}*/]"
                      % "|".join(map(re.escape, sorted(tops))))
    for path, number, line in tree.lines("*.md"):
        quoted = " ".join(re.findall(r"`([^`]+)`", line))
        if line.startswith(("    ", "$ ")):
            quoted = line
        here = str(pathlib.PurePath(path).parent)
        for match in name.finditer(quoted):
            if not tree.exists(match[0]) and not tree.exists(f"{here}/{match[0]}"):
                yield f"{path}:{number}: {match[0]} does not exist"
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", line):
            joined = pathlib.PurePath(here, target)
            if not tree.exists(normal(joined)):
                yield f"{path}:{number}: the link to {target} leads nowhere"
    for path, number, line in tree.lines(*("*" + end for end in TEXT)):
        if matches(path, ["*.md", "tests/tidy/*"]):
            continue
        for match in re.finditer(r"(?<![\w/])docs/[\w/-]+\.md", line):
            if not tree.exists(match[0]):
                yield f"{path}:{number}: {match[0]} does not exist"


def normal(path):
    parts = []
    for part in path.parts:
        if part == "..":
            parts = parts[:-1]
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


def check_machine_paths(tree):
    """Nothing names a folder of one machine."""
    for path, number, line in tree.lines(*("*" + end for end in TEXT)):
        match = MACHINE_PATH.search(line)
        if match and not matches(path, MACHINE_PATHS_ALLOWED):
            yield f"{path}:{number}: {match[0]}: exists on one machine only"


def check_marks(tree):
    """No work is left lying in comments."""
    for path, number, line in tree.lines(*("*" + end for end in TEXT)):
        if path.startswith("tests/tidy/"):
            continue
        match = re.search(r"\b(TODO|FIXME|XXX)\b(?!\(#\d+\))", line)
        if match:
            yield f"{path}:{number}: {match[0]}: name an issue, as in {match[0]}(#12)"


CHECKS = [check_includes, check_libraries, check_banned_calls, check_cmake_lists,
          check_length, check_first_lines, check_names_in_docs,
          check_machine_paths, check_marks]


def check_links(build_ninja):
    """No link line has both LibTorch and protobuf."""
    for edge in re.split(r"\n(?=build )", build_ninja):
        output = re.match(r"build ([^:|]+?) *(?:\|[^:]*)?:", edge)
        if output and "libtorch_cpu" in edge and "libprotobuf" in edge:
            yield (f"{output[1]}: links both LibTorch and protobuf; their symbols "
                   "clash (docs/architecture.md)")


def check_include_folders(compile_commands):
    """No file sees the headers of both LibTorch and our protos."""
    for entry in compile_commands:
        command = entry["command"]
        if "/torch/csrc/api/include" in command and "/proto/generated" in command:
            yield (f"{entry['file']}: sees LibTorch's headers and generated protos; "
                   "LibTorch brings headers of another protobuf")


def main(root, build=None):
    tree = Tree.read(pathlib.Path(root))
    findings = [finding for check in CHECKS for finding in check(tree)]
    if build:
        build = pathlib.Path(build)
        findings += check_links((build / "build.ninja").read_text())
        findings += check_include_folders(
            json.loads((build / "compile_commands.json").read_text()))
    for finding in findings:
        print(finding)
    print(f"{len(tree.files)} files, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
