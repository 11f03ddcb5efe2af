# SPDX-License-Identifier: LGPL-2.1-or-later
"""How long the daemon's loop has something else to do while events that are past their age are deleted and others arrive.

bench-retention.py OLD [--first]: so many old events. A call that only reads a property is made every few milliseconds, and how long it waits
is what the loop was busy with, and two passages through the bus: so first of a daemon at rest, then while events arrive, then while
old ones are deleted besides. With --first the loop, the bus and this process go before all others on the processors, so that what
is left is the loop's own time. What is reported comes from another process, so that this one has nothing to do but to ask.
"""

import json
import multiprocessing
import os
import sqlite3
import struct
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "bus"))

from harness import MANAGER, PATH, Client, Daemon, PrivateBus, wait_for  # noqa: E402

SEED = 10000  # events that are reported, and of which the old ones are copies
BATCH = 10  # events in a call
RATE = 1000  # of them a second, as far as the daemon keeps up
PAUSE_SEC = 0.002  # between two questions
PHASE_SEC = 5  # without retention
LOOK_SEC = 0.5  # between two looks at the history
DAY_USEC = 86400 * 10**6


def events(batch, n):
    """Of runs that begin and end in this batch."""
    made = []
    for i in range(n):
        run, last = batch * n + i // 5, i % 5 == 4
        made.append({"run_id": f"run-{run}", "user_id": f"11111111-1111-4111-8111-{run % 100:012}", "provider": "test",
                     "source": "sdk", "stage": "completed" if last else "processing",
                     "status": "success" if last else "in_progress"})
    return json.dumps(made)


def report(address, stop, count):
    """Until it is to stop."""
    client, batch, due = Client(address), SEED + count.value, time.monotonic()
    while not stop.is_set():
        client.manager("ReportEvents", "(s)", events(batch, BATCH))
        count.value += BATCH
        batch, due = batch + 1, due + BATCH / RATE
        time.sleep(max(0, due - time.monotonic()))
    client.close()


def age(history, n):
    """Makes old ones of the events there are, all in all so many."""
    with closing(sqlite3.connect(history, isolation_level=None)) as database:
        first, last, kept = database.execute("SELECT min(seq), max(seq), count(*) FROM events").fetchone()
        database.execute("BEGIN")
        for i in range(1, n // kept + 1):
            database.execute("INSERT INTO events SELECT seq - ?1, run, user, time_usec - ?2, json FROM events WHERE seq >= ?3",
                             (i * (last - first + 1), 2 * DAY_USEC, first))
        database.execute("COMMIT")
        assert database.execute("SELECT min(seq) > 0 FROM events").fetchone()[0]
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return first


def look(history, first):
    """(Whether any old event is left, the write-ahead log's size, how often it has begun anew)."""
    log = Path(f"{history}-wal")
    with closing(sqlite3.connect(f"file:{history}?mode=ro", uri=True, isolation_level=None)) as database:
        oldest, = database.execute("SELECT min(seq) FROM events").fetchone()
    header = log.read_bytes()[:16] if log.exists() else b""
    return oldest < first, log.stat().st_size if log.exists() else 0, struct.unpack(">I", header[12:])[0] if len(header) == 16 else 0


def ask(client, goes_on):
    waits = []
    while goes_on():
        begin = time.monotonic()
        client.get(PATH, MANAGER, "NConnectors")
        waits.append(time.monotonic() - begin)
        time.sleep(PAUSE_SEC)
    return sorted(waits)


def tell(what, waits, seconds, n_events):
    p50, p99 = (1e3 * waits[len(waits) * percent // 100] for percent in (50, 99))
    print(f"{what}: {len(waits)} calls in {seconds:.1f} s, {n_events / seconds:.0f} events/s, a call waits: p50 {p50:.2f} ms, "
          f"p99 {p99:.2f} ms, longest {1e3 * waits[-1]:.1f} ms; load {os.getloadavg()[0]:.1f}")


def phase(what, client, count, goes_on):
    begin, before = time.monotonic(), count.value
    waits = ask(client, goes_on)
    tell(what, waits, time.monotonic() - begin, count.value - before)


def for_a_while():
    end = time.monotonic() + PHASE_SEC
    return lambda: time.monotonic() < end


def until_deleted(history, first, logs):
    looked = [time.monotonic()]

    def goes_on():
        if time.monotonic() < looked[0] + LOOK_SEC:
            return True
        more, *log = look(history, first)
        looked[0] = time.monotonic()
        logs.append(log)
        return more

    return goes_on


def go_first(bus, daemon):
    """The loop alone, not the writer's thread beside it."""
    if "--first" in sys.argv:
        mine = map(int, os.listdir("/proc/self/task"))
        for pid in (*mine, bus.process.pid, daemon.process.pid):
            os.sched_setscheduler(pid, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))


def start_reporter(spawn, bus, stop, count):
    reporter, before = spawn.Process(target=report, args=(bus.address, stop, count), daemon=True), count.value
    reporter.start()
    wait_for(lambda: count.value > before, "the first report")
    return reporter


def end_reporter(reporter, stop):
    stop.set()
    reporter.join()
    stop.clear()
    assert reporter.exitcode == 0, "events were refused"


def main():
    bus, spawn = PrivateBus(), multiprocessing.get_context("spawn")  # GLib's threads outlive no fork
    count, stop = spawn.Value("Q", 0), spawn.Event()
    with tempfile.TemporaryDirectory(dir=".") as folder:
        daemon, client = Daemon(bus, Path(folder)), Client(bus.address)
        daemon.start(SYNCRUN_LOG_LEVEL="warning")
        for batch in range(SEED // 1000):
            client.manager("ReportEvents", "(s)", events(batch, 1000))
        go_first(bus, daemon)
        phase("at rest", client, count, for_a_while())
        reporter = start_reporter(spawn, bus, stop, count)
        phase("events arrive", client, count, for_a_while())
        end_reporter(reporter, stop)
        daemon.stop()
        history = next(daemon.state.glob("**/history.db"))
        n = int(sys.argv[1])
        first, logs = age(history, n), []
        daemon.start(SYNCRUN_LOG_LEVEL="warning")
        go_first(bus, daemon)
        reporter = start_reporter(spawn, bus, stop, count)
        phase(f"{n} old events are deleted besides", client, count, until_deleted(history, first, logs))
        end_reporter(reporter, stop)
        print(f"the log: at most {max(size for size, _ in logs) / 2**20:.1f} MiB, moved {logs[-1][1] - logs[0][1]} times")
        client.close()
        daemon.close()
    bus.close()


if __name__ == "__main__":
    main()
