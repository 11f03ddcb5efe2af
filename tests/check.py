#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Build with -Werror, run every test there is, and end with the line "N passed, N failed".

Two builds: one under ASan and UBSan for the suites that run our code in the process or drive our programs directly,
and a plain one for all others, which run the programs as they are installed. The sanitizers' build is made, and its
tests are run, beside the plain one's tests, which mostly wait. A test program that prints TAP, or is pytest, counts as
the cases it contains. A build that breaks, and a test program that dies without naming a failed case, count as one failure each.
A few programs that fail, while most of the machine is busy with others, are run once more by themselves: what is good then counts
as good and is named UNSTEADY, with what it said the first time, because it is a fault all the same, of the test or of ours.
Nothing is forgiven to a program that died, or in which a sanitizer or an assert() spoke.
What is above the last line names each such case and each failed one again, for logs that are cut.
"""

import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
LOG_LINES_SHOWN = 150
SUMMARY_LINES = 36
REASON_LINES = 3  # of a failed case, in the summary
WIDTH = 220
PROGRESS_SEC = 60
SLOWEST_SHOWN = 8
AGAIN_MAX = 3  # programs in all; where more fail, it is not by chance
NEVER_AGAIN = r"Sanitizer|: runtime error: |Assertion `|core dumped|Segmentation fault"

SANITIZED_SUITES = ["unit", "fuzz", "bus", "ctl", "http", "worker"]

ENVIRONMENT = {
    "ASAN_OPTIONS": "abort_on_error=1:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "halt_on_error=1:abort_on_error=1:print_stacktrace=1",
    "COLUMNS": str(WIDTH),  # to which pytest cuts what it says of a failed case
    **os.environ,
}


def pytest_counts(stdout):
    """What the last line says: (passed, failed, skipped)."""
    lines = re.findall(r"^(?:=+ )?((?:\d+ [a-z]+,? ?)+) ?in [\d.]+s", stdout, re.M)
    words = dict((word, int(n)) for n, word in re.findall(r"(\d+) ([a-z]+)", lines[-1])) if lines else {}
    failed = words.get("failed", 0) + words.get("error", 0) + words.get("errors", 0)
    return words.get("passed", 0), failed, words.get("skipped", 0)


def tap_counts(points):
    skipped = sum(1 for _, rest in points if re.search(r"# SKIP", rest, re.I))
    failed = sum(1 for word, _ in points if word == "not ok")
    return len(points) - failed - skipped, failed, skipped


def count_cases(stdout, passed):
    """The cases that a test program's output tells of: (passed, failed, skipped)."""
    points = re.findall(r"^\s*(not ok|ok) \d+(.*)$", stdout, re.M)
    counts = tap_counts(points) if points else pytest_counts(stdout)
    if not passed:
        return counts[0], max(counts[1], 1), counts[2]
    return counts if any(counts) else (1, 0, 0)


def failed_cases(text):
    """Each failed case that an output names: [name, reason...]."""
    cases = []
    for match in re.finditer(r"^\s*not ok \d+ *-? *(.*)\n((?:# .*\n)*)", text, re.M):
        cases.append([match[1], *match[2].replace("# ", "").splitlines()])
    for word, name, reason in re.findall(r"^(FAILED|ERROR) (\S+::[^\[\n]*?(?:\[.*?\])?)(?: - (.*))?$", text, re.M):
        cases.append([f"{word} {name.rsplit('/', 1)[-1]}", reason])
    return cases


def output_of(test):
    return test.get("stdout", "") + "\n" + test.get("stderr", "")


class Half:
    """A build folder, and the suites that are run in it."""

    def __init__(self, folder, setup_options, test_options):
        self.folder = folder
        self.build = TOP / folder
        self.setup_options = setup_options
        self.test_options = test_options
        self.passed = self.failed = 0
        self.failures = []  # as failed_cases() gives them
        self.unsteady = []  # the same
        self.tests = []  # as meson tells of them
        self.text = []  # what is printed of it at the end
        self.seconds = {}  # of each step

    def fail(self, words):
        self.failed += 1
        self.failures.append([words])
        say(f"{self.folder}: {words}")

    def make(self):
        """Return: whether it builds."""
        begin = time.monotonic()
        if not (self.build / "build.ninja").exists():
            setup = ["meson", "setup", str(self.build), str(TOP), *self.setup_options]
            if subprocess.run(setup, stdout=subprocess.DEVNULL).returncode != 0:
                self.fail(f"cannot be configured, see {self.build}/meson-logs/meson-log.txt")
                return False
        ninja = ["ninja", "-C", str(self.build), "--quiet"]
        done = subprocess.run(ninja, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.seconds["built"] = time.monotonic() - begin
        say(done.stdout, end="")
        if done.returncode != 0:
            self.fail("does not build")
        return done.returncode == 0

    def test(self):
        begin = time.monotonic()
        self.tests, status = self.run_tests(*self.test_options)
        self.seconds["tested"] = time.monotonic() - begin
        if status != 0 and not self.bad():
            self.fail(f"meson test exited with {status}")

    def run_tests(self, *options):
        """Return: what meson tells of each test program, and its exit status."""
        log = self.build / "meson-logs" / "testlog.json"
        log.unlink(missing_ok=True)
        command = ["meson", "test", "-C", str(self.build), "--no-rebuild", "--timeout-multiplier=3", *options]
        process = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   text=True)
        told = time.monotonic()
        for line in process.stdout:
            done = re.match(r" *(\d+)/(\d+) (.*?) +(OK|SKIP|EXPECTEDFAIL|[A-Z]{3,}) ", line)
            if done and (done[4] not in ("OK", "SKIP") or time.monotonic() > told + PROGRESS_SEC):
                told = time.monotonic()
                say(f"{self.folder}: {line.strip()}")
        status = process.wait()
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else [], status

    def bad(self):
        return [test for test in self.tests if test["result"] not in ("OK", "SKIP", "EXPECTEDFAIL")]

    def again(self):
        """Run what failed by itself; what is good now replaces what was said before."""
        for test in self.bad():
            if test["returncode"] < 0 or re.search(NEVER_AGAIN, output_of(test)):
                continue
            tests, _ = self.run_tests(test["name"].rpartition(" / ")[2])
            if [(new["name"], new["result"]) for new in tests] == [(test["name"], "OK")]:
                self.tell_bad(test, self.unsteady)
                self.tests[self.tests.index(test)] = tests[0]

    def take(self, test):
        name, stdout = test["name"], test.get("stdout", "")
        if test["result"] == "SKIP":
            self.text.append(f"-- {self.folder}: skipped: {name}")
            return
        good = test["result"] in ("OK", "EXPECTEDFAIL")
        passed, failed, skipped = count_cases(stdout, good)
        self.passed += passed
        self.failed += failed
        if skipped:
            self.text.append(f"-- {self.folder}: {skipped} cases skipped in {name}")
        if not good:
            self.tell_bad(test, self.failures)

    def tell_bad(self, test, cases):
        """Add its failed cases, and its last lines to what is printed at the end."""
        how = f"{test['name']}: {test['result']}, exit status {test['returncode']}, {test['duration']:.0f} s"
        output = output_of(test)
        self.text.append(f"-- {self.folder}: {how}; its last lines:")
        self.text += output.splitlines()[-LOG_LINES_SHOWN:]
        cases += [[f"{test['name']}: {case}", *why] for case, *why in failed_cases(output)] or [
            [how, *output.split("\n")[-REASON_LINES - 1:]]]

    def finish(self):
        for test in self.tests:
            self.take(test)
        slowest = sorted(self.tests, key=lambda test: -test["duration"])[:SLOWEST_SHOWN]
        names = ", ".join(f"{test['name'].rpartition(' / ')[2]} {test['duration']:.0f}" for test in slowest)
        say(f"== {self.folder}: {len(self.tests)} programs: {self.passed} passed, {self.failed} failed; " +
            ", ".join(f"{step} in {seconds:.0f} s" for step, seconds in self.seconds.items()) + f"; slowest: {names}")

    def run(self):
        if self.make():
            self.test()


def say(*words, **more):
    print(*words, **more, flush=True)


def summary(halves):
    """The failed cases, as many lines as a cut log still shows."""
    lines = []
    for half in halves:
        for word, name, *why in [("UNSTEADY", *case) for case in half.unsteady] + [("FAILED", *case) for case in half.failures]:
            lines.append(f"{word} {half.folder}: {name}"[:WIDTH])
            lines += [f"        {line.strip()}"[:WIDTH] for line in why if line.strip()][:REASON_LINES]
    if len(lines) > SUMMARY_LINES:  # the names alone
        lines = [line for line in lines if line.startswith(("FAILED", "UNSTEADY"))]
    hidden = len(lines) - SUMMARY_LINES
    return lines[:SUMMARY_LINES] + ([f"... and {hidden} more"] if hidden > 0 else [])


def main():
    sanitized = [f"--suite={suite}" for suite in SANITIZED_SUITES]
    others = [f"--no-suite={suite}" for suite in SANITIZED_SUITES]
    halves = [
        Half("build-check", ["-Dwerror=true"], others),
        # No -Werror with the sanitizers: their checks make gcc warn of paths that cannot be taken.
        Half("build-asan", ["-Db_sanitize=address,undefined", "-Db_lundef=false"], sanitized),
    ]
    begin = time.monotonic()
    plain_tests = None
    if halves[0].make():
        plain_tests = threading.Thread(target=halves[0].test)
        plain_tests.start()
    halves[1].run()
    if plain_tests:
        plain_tests.join()
    if sum(len(half.bad()) for half in halves) <= AGAIN_MAX:
        for half in halves:
            half.again()
    for half in halves:
        half.finish()
    for half in halves:
        for line in half.text:
            say(line)
    for line in summary(halves):
        say(line)
    say(f"== all in {time.monotonic() - begin:.0f} s")
    passed, failed = (sum(getattr(half, what) for half in halves) for what in ("passed", "failed"))
    say(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
