#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Build with -Werror, run every test there is, and end with the line "N passed, N failed".

Two builds: one under ASan and UBSan for the suites that run our code in the process or drive our programs directly, and
a plain one for all others, which run the programs as they are installed, and for the unit tests again. A test program
that prints TAP, or is pytest, counts as the cases it contains. A build that breaks, and a test program that dies without
naming a failed case, count as one failure each.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
LOG_LINES_SHOWN = 150

# Suites that need no second run without the sanitizers.
DRIVEN = ["bus", "ctl", "http", "worker"]

# folder, options of `meson setup`, options of `meson test`. No -Werror with the sanitizers: their checks make gcc warn of
# paths that cannot be taken.
BUILDS = [
    ("build-check", ["-Dwerror=true"], [f"--no-suite={suite}" for suite in DRIVEN]),
    (
        "build-asan",
        ["-Db_sanitize=address,undefined", "-Db_lundef=false"],
        [*(f"--suite={suite}" for suite in ("unit", "fuzz", *DRIVEN)), "--timeout-multiplier=3"],
    ),
]

SANITIZERS = {
    "ASAN_OPTIONS": "abort_on_error=1:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "halt_on_error=1:abort_on_error=1:print_stacktrace=1",
}


def count_cases(stdout, passed):
    """The cases that a test program's output tells of: (passed, failed, skipped)."""
    tap = re.findall(r"^\s*(not ok|ok) \d+(.*)$", stdout, re.M)
    if tap:
        skipped = sum(1 for _, rest in tap if re.search(r"# SKIP", rest, re.I))
        failed = sum(1 for word, _ in tap if word == "not ok")
        counts = (len(tap) - failed - skipped, failed, skipped)
    else:
        pytest = re.findall(r"^(?:=+ )?((?:\d+ [a-z]+,? ?)+) ?in [\d.]+s", stdout, re.M)
        words = dict((word, int(n)) for n, word in re.findall(r"(\d+) ([a-z]+)", pytest[-1])) if pytest else {}
        failed = words.get("failed", 0) + words.get("error", 0) + words.get("errors", 0)
        counts = (words.get("passed", 0), failed, words.get("skipped", 0))
    if not passed:
        return counts[0], max(counts[1], 1), counts[2]
    return counts if any(counts) else (1, 0, 0)


def run_build(folder, setup_options, test_options):
    """Configure, build and test in one folder: (passed, failed)."""
    build = TOP / folder
    print(f"== {folder}", flush=True)
    if not (build / "build.ninja").exists():
        setup = ["meson", "setup", str(build), str(TOP), *setup_options]
        if subprocess.run(setup, stdout=subprocess.DEVNULL).returncode != 0:
            print(f"{folder}: cannot be configured, see {build}/meson-logs/meson-log.txt")
            return 0, 1
    if subprocess.run(["ninja", "-C", str(build), "--quiet"]).returncode != 0:
        print(f"{folder}: does not build")
        return 0, 1

    log = build / "meson-logs" / "testlog.json"
    log.unlink(missing_ok=True)
    command = ["meson", "test", "-C", str(build), "--no-rebuild", *test_options]
    status = subprocess.run(command, env={**SANITIZERS, **os.environ}).returncode
    if not log.exists():
        return (0, 1) if status != 0 else (0, 0)

    totals = [0, 0]
    for line in log.read_text().splitlines():
        test = json.loads(line)
        stdout = test.get("stdout", "")
        if test["result"] == "SKIP":
            print(f"-- {folder}: skipped: {test['name']}")
            continue
        good = test["result"] in ("OK", "EXPECTEDFAIL")
        passed, failed, skipped = count_cases(stdout, good)
        totals[0] += passed
        totals[1] += failed
        if skipped:
            print(f"-- {folder}: {skipped} cases skipped in {test['name']}")
        if not good:
            text = (stdout + test.get("stderr", "")).splitlines()
            print(f"-- {folder}: {test['name']}: {test['result']}, exit status {test['returncode']}; its last lines:")
            print("\n".join(text[-LOG_LINES_SHOWN:]), flush=True)
    if status != 0 and totals[1] == 0:
        totals[1] = 1
    return tuple(totals)


def main():
    results = [run_build(*build) for build in BUILDS]
    passed = sum(result[0] for result in results)
    failed = sum(result[1] for result in results)
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
