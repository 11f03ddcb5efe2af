#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Says how much of each room's code the suites have run: coverage.py BUILD, a build with -Db_coverage=true that was tested.

Of a file that several programs compile, a line counts that any of them has run. A program that is killed by SIGKILL
says nothing of what it ran, so that the truth is a little above this. The exit status is 1 where a room is below its goal.
"""

import json
import os
import subprocess
import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
ROOM_GOAL = 85  # percent of lines
FILE_GOAL = 85  # files below it are named


def lines_of(counts):
    """{source: {line: times}} of what one object file counted."""
    answer = subprocess.run(["gcov", "--json-format", "--stdout", counts], cwd=counts.parent, check=True,
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    found = {}
    for text in answer.stdout.splitlines():
        report = json.loads(text)
        for source in report["files"]:
            path = os.path.normpath(os.path.join(report["current_working_directory"], source["file"]))
            found[path] = {line["line_number"]: line["count"] for line in source["lines"]}
    return found


def collect(build):
    """{path below src/: {line: has run}}"""
    covered = defaultdict(dict)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for found in pool.map(lines_of, sorted(build.rglob("*.gcda"))):
            for path, lines in found.items():
                if Path(path).is_relative_to(TOP / "src"):
                    file = covered[str(Path(path).relative_to(TOP / "src"))]
                    for line, count in lines.items():
                        file[line] = file.get(line, False) or count > 0
    return covered


def percent(lines):
    return 100 * sum(lines) / len(lines) if lines else 100.0


def main():
    build = Path(sys.argv[1]).resolve()
    covered = collect(build)
    never = {str(p.relative_to(TOP / "src")) for p in TOP.glob("src/*/*.c")} - set(covered)
    rooms = defaultdict(list)
    for name, lines in covered.items():
        rooms[name.split("/")[0]] += lines.values()
    print(f"{'room':12} {'lines':>7} {'run':>7}")
    for room, lines in sorted(rooms.items()):
        print(f"{room:12} {len(lines):7} {percent(lines):6.1f}%")
    everything = [line for lines in rooms.values() for line in lines]
    print(f"{'all':12} {len(everything):7} {percent(everything):6.1f}%")
    low = sorted((percent(list(lines.values())), name) for name, lines in covered.items() if lines)
    for share, name in low:
        if share < FILE_GOAL:
            print(f"below {FILE_GOAL} %: {name} {share:.1f}%")
    for name in sorted(never):
        print(f"in no program that ended: {name}")
    return any(percent(lines) < ROOM_GOAL for lines in rooms.values())


sys.exit(main())
