# SPDX-License-Identifier: LGPL-2.1-or-later
"""How long a call of the daemon waits while others do their worst: in the machine of tests/system, beside the installed daemon and workers.

bench-hostile.py SECONDS [--first]: each case so long, or until what it looks at has ended. A call that only reads a property is
made every 2 ms to the daemon, and another to the bus itself, which is what the way costs; what a call waits for is the loop,
and the way. With --first the loop, the bus and those who ask go before all others on the processors, so that what is left is
their own time. Connectors print what no connector should; what becomes of their runs is what tests look at.
"""

import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "system"))

from machine import Machine, private_mounts  # noqa: E402
from syncrun import Syncrun  # noqa: E402
from test_hostile import BOMB, FLOOD, RULE  # noqa: E402

PAUSE_MSEC = "2"
MANY_ACCOUNTS = """#!/usr/bin/python3
import json
for n in range(100_000):
    print(json.dumps({"type": "RECORD", "stream": "s", "record": {"id": n}, "account": f"{n}" + "x" * 100}))
"""
FOREVER = "#!/bin/sh\nexec sleep infinity\n"


def go_first(own):
    if "--first" in sys.argv:
        for unit in ("dbus.service", "syncrund.service"):
            for group in own.machine.cgroup.glob(f"**/{unit}"):
                for pid in map(int, (group / "cgroup.procs").read_text().split()):
                    os.sched_setscheduler(pid, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))


@contextmanager
def asked(own, what):
    by = ["chrt", "--rr", "1"] if "--first" in sys.argv else []
    with own.caller("ask", PAUSE_MSEC, "daemon", by=by) as daemon, own.caller("ask", PAUSE_MSEC, "bus", by=by) as bus:
        yield
    for whom, (waits,) in (("daemon", daemon), ("bus", bus)):
        print(f"{what}: {waits['calls']} calls to the {whom}, p50 {waits['p50']:.2f} ms, p99 {waits['p99']:.2f} ms, "
              f"longest {waits['longest']:.1f} ms; load {os.getloadavg()[0]:.1f}", flush=True)


def bench_rest(own, seconds):
    with asked(own, "at rest"):
        time.sleep(seconds)


def cpu_sec(own, unit):
    """Of all processes of a unit: that of the daemon and that of the bus have one each."""
    (group,) = own.machine.cgroup.glob(f"**/system.slice/{unit}")
    stats = (Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split() for pid in (group / "cgroup.procs").read_text().split())
    return sum(int(fields[11]) + int(fields[12]) for fields in stats) / os.sysconf("SC_CLK_TCK")


def bench_flood(own, seconds, how, user, what):
    names = [own.add_pull(f"flooded{i}", 1, 10, reload=False) for i in range(4)]
    own.call("Reload")
    units = ("syncrund.service", "dbus.service")
    with own.caller(how, *FLOOD, *names, user=user) as answers:
        with asked(own, f"a flood of StartRun() that is {what}"):
            begin, before = time.monotonic(), [cpu_sec(own, unit) for unit in units]
            time.sleep(seconds)
            busy = [100 * (cpu_sec(own, unit) - was) / (time.monotonic() - begin) for unit, was in zip(units, before)]
    print(f"  the daemon was busy {busy[0]:.0f} % of the time, the bus {busy[1]:.0f} %; calls: {answers[0]}")
    for name in names:
        for run in own.runs(name):
            own.wait_end(run["id"])


def bench_connector(own, what, program):
    """Until its run has ended."""
    own.add("hostile", program)
    with asked(own, what):
        run = own.start("hostile")
        own.wait_end(run, timeout=600)


def bench_stopped(own, seconds):
    own.add("hostile", "/usr/local/bin/forever")
    run = own.start("hostile")
    own.wait("RUN_STARTED", f"SYNCRUN_RUN_ID={run}")
    own.machine.run("systemctl", "kill", "--signal=STOP", "--kill-whom=main", "syncrun@hostile.service")
    with asked(own, "a worker is stopped"):
        time.sleep(seconds)
    own.machine.run("systemctl", "kill", "--signal=CONT", "syncrun@hostile.service")
    own.call("CancelRun", "s", run)
    own.wait_end(run)


def bench_bomb(own, seconds):
    own.add("hostile", "/usr/local/bin/bomb hears")
    run = own.start("hostile")
    own.wait("RUN_STARTED", f"SYNCRUN_RUN_ID={run}")
    with asked(own, "a connector forks without end"):
        time.sleep(seconds)
    own.call("CancelRun", "s", run)
    own.wait_end(run)


def main():
    seconds = float(sys.argv[1])
    private_mounts()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="syncrun-installed-"))
        subprocess.run(["meson", "install", "-C", os.environ["SYNCRUN_BUILD"], "--no-rebuild", "--quiet", "--destdir", folder], check=True)
        machine = stack.enter_context(Machine(folder, counts_tasks=True))
        for name, text in (("bomb", BOMB), ("accounts", MANY_ACCOUNTS), ("forever", FOREVER)):
            machine.write(f"/usr/local/bin/{name}", text, mode=0o755)
        machine.write("/etc/polkit-1/rules.d/10-bin.rules", RULE)
        machine.boot()
        machine.run("systemctl", "start", "syncrund.service")
        own = Syncrun(machine)
        go_first(own)
        bench_rest(own, seconds)
        bench_flood(own, seconds, "flood", "nobody", "refused")
        bench_flood(own, seconds, "flood-anew", "nobody", "refused, over fresh connections")
        bench_flood(own, seconds, "flood", "bin", "allowed")
        bench_connector(own, "1 GiB without a newline", "/usr/bin/head -c 1073741824 /dev/zero")
        bench_connector(own, "100,000 accounts", "/usr/local/bin/accounts")
        bench_stopped(own, seconds)
        bench_bomb(own, seconds)


main()
