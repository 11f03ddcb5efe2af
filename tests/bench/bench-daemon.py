# SPDX-License-Identifier: LGPL-2.1-or-later
"""The daemon by itself: events that it commits beside SQLite's own commits of the same rows, and what connectors cost.

bench-daemon.py [--first] EVENTS CONNECTORS...; ratios are of times taken in the same run, medians of ROUNDS.
"""

import json
import os
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "bus"))

from harness import Client, Daemon, PrivateBus, wait_for  # noqa: E402

ROUNDS = 5
BATCH = 1000  # events in a call; also the rows in a commit of SQLite's own
CALLS_MAX = 4  # under way
STAGES = ["queued", "started", "fetching", "processing", "processing", "processing", "saving", "completed"]
USERS = 100
DUE = 1000  # connectors that are due in the same moment
IDLE_SEC = 5

MANAGER = ("/org/syncrun1", "org.syncrun1.Manager")


def history(daemon):
    return next(daemon.state.glob("**/history.db"))


def cpu_sec(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def status_of(pid, name):
    return int(Path(f"/proc/{pid}/status").read_text().split(f"\n{name}:")[1].split()[0])


def wakes_in(pid, seconds):
    slept = status_of(pid, "voluntary_ctxt_switches")
    time.sleep(seconds)
    return status_of(pid, "voluntary_ctxt_switches") - slept


# ---- Events


def report(client, first, n):
    """Runs from outside of as many events as STAGES, as fast as they are committed: seconds."""
    texts = []
    for batch in range(first, first + n, BATCH):
        events = []
        for i in range(batch, batch + BATCH):
            run, stage = divmod(i, len(STAGES))
            events.append({"run_id": f"run-{run}", "user_id": f"11111111-1111-4111-8111-{run % USERS:012}",
                           "provider": "test", "source": "sdk", "stage": STAGES[stage], "message": "12 new, 3 updated",
                           "status": "success" if STAGES[stage] == "completed" else "in_progress"})
        texts.append(json.dumps(events))
    begin, under_way = time.monotonic(), []
    while texts or under_way:
        while texts and len(under_way) < CALLS_MAX:
            under_way.append(client.start_call(*MANAGER, "ReportEvents", "(s)", texts.pop(0)))
        wait_for(lambda: under_way[0], "an answer")
        answer = under_way.pop(0)[0]
        if isinstance(answer, Exception):
            raise answer
    return time.monotonic() - begin


def commit_again(source, target):
    """The rows there are, in commits of as many as a call has, by SQLite alone: (seconds, of them on a processor, events)."""
    with closing(sqlite3.connect(target, isolation_level=None)) as database:
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "cache_size = -16384", "foreign_keys = ON"):
            database.execute(f"PRAGMA {pragma}")
        database.execute("ATTACH ? AS source", (str(source),))
        database.execute("INSERT OR IGNORE INTO users SELECT * FROM source.users")
        before, last_event = database.execute("SELECT min(seq) - 1, max(seq) FROM source.events").fetchone()  # no small numbers
        last_run, = database.execute("SELECT max(row) FROM source.runs").fetchone()
        begin, cpu = time.monotonic(), time.process_time()
        for seq in range(before, last_event, BATCH):
            run = (seq - before) // len(STAGES)
            database.execute("BEGIN IMMEDIATE")
            database.execute("INSERT INTO runs SELECT * FROM source.runs WHERE row > ? AND row <= ?",
                             (run, min(run + BATCH // len(STAGES), last_run)))
            database.execute("INSERT INTO events SELECT * FROM source.events WHERE seq > ? AND seq <= ?", (seq, seq + BATCH))
            database.execute("COMMIT")
        return time.monotonic() - begin, time.process_time() - cpu, last_event - before


def bench_events(bus, n):
    rates, ratios, costs, bare_costs = [], [], [], []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(dir=".") as folder:
            daemon, client = Daemon(bus, Path(folder)), Client(bus.address)
            daemon.start(SYNCRUN_LOG_LEVEL="warning")
            daemon.restart()  # what is made once is made
            empty = Path(folder) / "empty.db"
            daemon.stop()
            shutil.copyfile(history(daemon), empty)
            daemon.start(SYNCRUN_LOG_LEVEL="warning")
            cpu = cpu_sec(daemon.process.pid)
            seconds = report(client, 0, n)
            costs.append((cpu_sec(daemon.process.pid) - cpu) / n)
            daemon.stop()
            bare, bare_cpu, n_events = commit_again(history(daemon), empty)
            assert n_events == n, f"{n_events} events"
            rates.append(n / seconds)
            ratios.append(bare / seconds)
            bare_costs.append(bare_cpu / n)
            client.close()
            daemon.close()
    print(f"events: {statistics.median(rates):.0f}/s committed, {1e6 * statistics.median(costs):.1f} µs of CPU each; "
          f"of SQLite's own commits of {BATCH} such rows, {1e6 * statistics.median(bare_costs):.1f} µs of CPU each: "
          f"{statistics.median(ratios):.2f}")


# ---- Connectors


def bench_connectors(bus, n):
    with tempfile.TemporaryDirectory(dir=".") as folder:
        daemon, client = Daemon(bus, Path(folder)), Client(bus.address)
        for i in range(n):
            (daemon.connectors / f"c{i}.connector").write_text(
                f"[Connector]\nDescription=Number {i}\nProvider=p{i % 20}\n[Schedule]\nOnCalendar=2199-01-01\n"
                "[Pipeline]\nExecPull=/bin/true\n")
        begin = time.monotonic()
        daemon.start(SYNCRUN_LOG_LEVEL="warning")
        first = time.monotonic() - begin
        daemon.stop()
        begin = time.monotonic()
        daemon.start(SYNCRUN_LOG_LEVEL="warning")
        again = time.monotonic() - begin
        pid = daemon.process.pid
        client.get(*MANAGER, "NConnectors")  # it answers
        kib = status_of(pid, "RssAnon")
        while wakes_in(pid, 1) > 0:  # retention looks at each once after the start
            pass
        wakes = wakes_in(pid, IDLE_SEC)
        begin = time.monotonic()
        client.manager("Reload")
        reload = time.monotonic() - begin
        print(f"{n} connectors: loaded in {first:.2f} s for the first time, {again:.2f} s again, reloaded in {reload:.2f} s; {kib / 1024:.1f} MiB, "
              f"{1024 * kib / n:.0f} bytes each; {wakes} wake-ups in {IDLE_SEC} s of rest; load {os.getloadavg()[0]:.1f}")
        client.close()
        daemon.close()


def lateness(bus):
    """How long after its moment each of many that are due at once has its run, in ms. With --first the daemon's loop, and not the
    writer's thread, goes before all others on the processors, so that it is not the machine's load that is measured."""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        daemon, client = Daemon(bus, Path(folder), worker="/bin/true"), Client(bus.address)
        due = int(time.time()) + 10
        moment = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(due))
        for i in range(DUE):
            daemon.add(f"c{i}", f"[Schedule]\nOnCalendar={moment}\n[Run]\nRetryMax=0\n[Pipeline]\nExecPull=/bin/true\n")
        daemon.write("syncrun.conf", "[Daemon]\nMaxConcurrentRuns=1\n")
        daemon.start(SYNCRUN_LOG_LEVEL="warning")
        if "--first" in sys.argv:
            os.sched_setscheduler(daemon.process.pid, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
        wait_for(lambda: client.get(*MANAGER, "NActiveRuns") + client.get(*MANAGER, "NQueuedRuns") > DUE // 2, "the runs")
        daemon.stop()
        with closing(sqlite3.connect(history(daemon))) as database:
            late = sorted((usec - due * 10**6) / 1000 for usec, in database.execute("SELECT created_usec FROM runs"))
        client.close()
        daemon.close()
        assert len(late) == DUE
        return [late[0], *(late[DUE * percent // 100] for percent in (50, 99)), late[-1]]


def bench_lateness(bus):
    rounds = [lateness(bus) for _ in range(ROUNDS)]
    first, median, p99, last = map(statistics.median, zip(*rounds))
    print(f"{DUE} due at once: their runs made after {first:.1f} ms (first), {median:.1f} ms (median), {p99:.1f} ms (p99; "
          f"{min(r[2] for r in rounds):.1f} to {max(r[2] for r in rounds):.1f}), {last:.1f} ms (last); load {os.getloadavg()[0]:.1f}")


def main():
    bus = PrivateBus()
    events, *connectors = (word for word in sys.argv[1:] if word != "--first")
    bench_events(bus, int(events))
    bench_lateness(bus)
    for n in connectors:
        bench_connectors(bus, int(n))
    bus.close()


main()
