# SPDX-License-Identifier: LGPL-2.1-or-later
"""How long small calls wait beside large ones of another user.

bench-reads.py RUNS CLIENTS [--first]: in a history of so many runs, so many clients (user nobody) ask for what is large without end, each for
one thing at a time. Beside them a call that only reads a property is made every few milliseconds: how long it waits is
what the loop was busy with, and two passages through the bus. With --first as in bench-retention.py.
"""

import json
import multiprocessing
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "bus"))

from gi.repository import Gio, GLib  # noqa: E402
from harness import MANAGER, NAME, PATH, Client, Daemon, PrivateBus, options, wait_for  # noqa: E402

NOBODY = 65534
PAUSE_SEC = 0.002  # between two questions
PHASE_SEC = 5
BATCH = 1000  # events in a call
USER = "11111111-1111-4111-8111-{:012}"
OBJECTS = ("org.freedesktop.DBus.ObjectManager", "GetManagedObjects", None)


def describe(method, **values):
    return MANAGER, method, GLib.Variant("(a{sv})", [options(**values)])


LARGE = {
    "10,000 runs": describe("DescribeRuns", limit=10000),
    "10,000 runs with accounts": describe("DescribeRuns", limit=10000, accounts=True),
    "10,000 runs of all persons": describe("DescribeRuns", limit=10000, view="open-wearables"),
    "10,000 events": describe("DescribeEvents", limit=10000),
    "10,000 events, listed": describe("ListEvents", limit=10000),
    "all objects": OBJECTS,
    "statistics": (MANAGER, "DescribeStatistics", None),
}


def events(first, n):
    """Of runs that have ended, each with two events."""
    made = []
    for i in range(first, first + n):
        run, last = i // 2, i % 2
        made.append({"run_id": f"run-{run}", "user_id": USER.format(run % 100), "provider": "test", "source": "sdk",
                     "stage": "completed" if last else "processing", "message": "12 new, 3 updated",
                     "status": "success" if last else "in_progress"})
    return json.dumps(made)


def flood(address, n_clients, call, stop, count):
    """Until it is to stop."""
    if os.geteuid() == 0:
        os.setresuid(NOBODY, NOBODY, NOBODY)
    interface, method, args = call[0], call[1], call[2] and GLib.Variant.parse(None, call[2], None, None)
    clients = [Client(address) for _ in range(n_clients)]

    def ask(client):
        client.bus.call(NAME, PATH, interface, method, args, None, Gio.DBusCallFlags.NONE, -1, None, answered, client)

    def answered(bus, result, client):
        bus.call_finish(result)
        count.value += 1
        ask(client)

    for client in clients:
        ask(client)
    wait_for(stop.is_set, "the end")


def ask(client):
    waits, end = [], time.monotonic() + PHASE_SEC
    while time.monotonic() < end:
        begin = time.monotonic()
        client.get(PATH, MANAGER, "NConnectors")
        waits.append(time.monotonic() - begin)
        time.sleep(PAUSE_SEC)
    return sorted(waits)


def tell(what, waits, n_large):
    p50, p99 = (1e3 * waits[len(waits) * percent // 100] for percent in (50, 99))
    print(f"{what}: {len(waits)} calls in {PHASE_SEC} s, {n_large / PHASE_SEC:.0f} large answers/s; a call waits: p50 {p50:.2f} ms, "
          f"p99 {p99:.2f} ms, longest {1e3 * waits[-1]:.1f} ms; load {os.getloadavg()[0]:.1f}", flush=True)


def go_first(*pids):
    """The loop alone, not the writer's thread beside it."""
    if "--first" in sys.argv:
        for pid in pids:
            os.sched_setscheduler(pid, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))


def beside(bus, client, what, call):
    spawn = multiprocessing.get_context("spawn")  # GLib's threads outlive no fork
    count, stop = spawn.Value("Q", 0), spawn.Event()
    call = (*call[:2], call[2] and call[2].print_(True))
    flooding = spawn.Process(target=flood, args=(bus.address, int(sys.argv[2]), call, stop, count), daemon=True)
    flooding.start()
    wait_for(lambda: count.value > 0, "the first large answer")
    before = count.value
    waits = ask(client)
    tell(f"beside those who ask for {what}", waits, count.value - before)
    stop.set()
    flooding.join()
    assert flooding.exitcode == 0, "large calls were refused"


def main():
    bus = PrivateBus()
    with tempfile.TemporaryDirectory(dir=".") as folder:
        daemon, client = Daemon(bus, Path(folder)), Client(bus.address)
        daemon.start(SYNCRUN_LOG_LEVEL="warning")
        for first in range(0, 2 * int(sys.argv[1]), BATCH):
            client.manager("ReportEvents", "(s)", events(first, BATCH))
        go_first(*map(int, os.listdir("/proc/self/task")), bus.process.pid, daemon.process.pid)
        tell("at rest", ask(client), 0)
        for what, call in LARGE.items():
            beside(bus, client, what, call)
        client.close()
        daemon.close()
    bus.close()


if __name__ == "__main__":
    main()
