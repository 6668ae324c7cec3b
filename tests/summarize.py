"""Prints which tests were skipped and why, and the slowest, from ctest's JUnit file."""

import re
import sys
import xml.etree.ElementTree

# GoogleTest prints "file:line: Skipped", the reason, and "[  SKIPPED ] name".
GTEST_SKIP = re.compile(
    r"^\S+:\d+: Skipped\n(?P<reason>.*?)\n*^\[  SKIPPED \] (?P<test>[\w./]+)",
    re.MULTILINE | re.DOTALL)
SLOWEST = 10


def skips(case):
    """Yields (what, why) for each skipped test of one ctest entry."""
    name = case.get("name")
    output = case.findtext("system-out") or ""
    found = list(GTEST_SKIP.finditer(output))
    for match in found:
        yield f"{name} {match['test']}", " ".join(match["reason"].split())
    if not found and case.find("skipped") is not None:
        lines = [line for line in output.splitlines() if line.strip()]
        reason = lines[-1].strip() if lines else "no reason was printed"
        yield name, reason.removeprefix("SKIPPED: ")


def main(path):
    cases = list(xml.etree.ElementTree.parse(path).getroot().iter("testcase"))
    skipped = [skip for case in cases for skip in skips(case)]
    if skipped:
        print("\nSkipped:")
        for what, why in skipped:
            print(f"  {what}: {why}")
    slowest = sorted(cases, key=lambda case: -float(case.get("time") or 0))
    print("\nSlowest:")
    for case in slowest[:SLOWEST]:
        print(f"{float(case.get('time') or 0):6.1f} s  {case.get('name')}")


if __name__ == "__main__":
    main(sys.argv[1])
