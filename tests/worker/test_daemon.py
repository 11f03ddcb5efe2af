# SPDX-License-Identifier: LGPL-2.1-or-later
"""A daemon that goes away, loses answers, refuses; a worker that is killed."""

import os
import signal

import pytest
from gi.repository import GLib
from harness import RUN_ID, counts, record, schema, wait_for

IMPATIENT_WORKER = os.environ["SYNCRUN_WORKER_IMPATIENT"]  # takes a bus for gone after a moment

LIVE = """
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
def more(begin, end):
    for n in range(begin, end): say(type="RECORD", stream="s", record={"id": n}, account="a")
    say(type="STATE", value=end)
open("pid", "w").write(str(os.getpid()))
say(type="SCHEMA", stream="s", schema={}, key_properties=["id"])
more(0, 100)
signal.sigwait([signal.SIGUSR1])
more(100, 300)
"""


def go_on(bench):
    os.kill(int((bench.state / "pid").read_text()), signal.SIGUSR1)


def test_away_for_a_while(bench):
    """Pulling goes on meanwhile, and what was not told is told once."""
    bench.settings(bench.python(LIVE))
    run = bench.start()
    wait_for(lambda: bench.daemon.cursor == "100", "the first cursor")
    bench.daemon.vanish()
    go_on(bench)
    wait_for(lambda: run.status is not None or "300 records are stored" in run.stderr, "all items")
    assert run.status is None, "it waits for the daemon"
    bench.daemon.appear()
    assert run.wait() == 0
    assert counts(bench.daemon.end) == (300, 300, 0, 0) and bench.daemon.cursor == "300"
    assert counts(bench.daemon.accounts_of()["a"]) == (300, 300, 0, 0)


@pytest.mark.parametrize("method", ["Attach", "Report", "SaveCursor", "Finish"])
def test_an_answer_that_is_lost(bench, method):
    """Recorded, but not answered: the call comes again with the same number, and counts once."""
    lost = []

    def lose(name, sequence):
        if name == method and not lost:
            lost.append(sequence)
            bench.daemon.vanish()
            bench.daemon.appear()
            return True
        return False

    bench.daemon.before_reply = lose
    bench.pull([schema(), *[{**record(n), "account": "a"} for n in range(10)], {"type": "STATE", "value": 1}])
    assert lost and bench.daemon.received.count(method) >= 2
    assert counts(bench.daemon.end) == (10, 10, 0, 0) and bench.daemon.cursor == "1"
    assert [sequence for _, sequence, _ in bench.daemon.calls] == list(range(1, len(bench.daemon.calls) + 1))


def test_the_bus_goes_away(bench):
    bench.settings(bench.python(LIVE))
    run = bench.start()
    wait_for(lambda: bench.daemon.cursor == "100", "the first cursor")
    bench.daemon.connection = None
    bench.bus.stop()
    bench.bus.start()
    bench.daemon.appear()
    go_on(bench)
    assert run.wait() == 0 and counts(bench.daemon.end) == (300, 300, 0, 0) and bench.daemon.cursor == "300"


HANGING = LIVE[:LIVE.index("signal.sigwait")] + """
def stop(number, frame):
    open("stopped", "w").close()
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
while True: signal.pause()
"""


def test_the_bus_does_not_come_back(bench):
    """Nobody hears of the run any more, and the program says nothing that could be told: it is stopped in order all the
    same. What came stays, and counts once."""
    bench.settings(bench.python(HANGING))
    run = bench.start(program=IMPATIENT_WORKER)
    wait_for(lambda: bench.daemon.cursor == "100", "the first cursor")
    bench.daemon.connection = None
    bench.bus.stop()
    assert run.wait() == 1 and "the bus is gone" in run.stderr and (bench.state / "stopped").exists()
    assert bench.items("SELECT count(*) FROM items") == [(100,)]
    bench.bus.start()
    bench.daemon.appear()
    bench.next_run(2)
    end = bench.pull([schema("s"), *[record(n, "s") for n in range(150)]])
    assert counts(bench.daemon.settled[RUN_ID]) == (100, 100, 0, 0) and counts(end) == (150, 50, 0, 100)


def test_no_bus_when_earlier_runs_are_told(bench):
    """No program is begun for a run that nobody will hear of."""
    killed_run(bench)

    def lose(name, _sequence):
        if name == "Settle":
            GLib.idle_add(bench.bus.stop)
        return name == "Settle"

    bench.daemon.before_reply = lose
    bench.next_run(2)
    bench.settings(bench.script("#!/bin/sh\n: >pulled\n"))
    run = bench.start(program=IMPATIENT_WORKER)
    assert run.wait() == 1 and "the bus is gone" in run.stderr and not (bench.state / "pulled").exists()
    bench.daemon.connection = None


def test_no_daemon_at_first(bench):
    bench.daemon.vanish()
    bench.settings(bench.lines([schema(), record(1)]))
    run = bench.start()
    wait_for(lambda: "trying again" in run.stderr or run.status is not None, "the first try")
    bench.daemon.appear()
    assert run.wait() == 0 and counts(bench.daemon.end) == (1, 1, 0, 0)


@pytest.mark.parametrize("name", ["StorageUnavailable", "ShuttingDown", "TryAgain"])
def test_a_refusal_that_passes(bench, name):
    def mend(method, _sequence):
        bench.daemon.refuse.clear()

    bench.daemon.before_reply = mend
    bench.daemon.refuse["Report"] = (f"org.syncrun1.Error.{name}", "not now")
    bench.daemon.refuse["Finish"] = (f"org.syncrun1.Error.{name}", "not now")
    bench.settings(bench.lines([schema(), record(1)]))
    run = bench.start()
    wait_for(lambda: "Report" in bench.daemon.received, "a report")
    bench.daemon.refuse.clear()
    assert run.wait() == 0 and counts(bench.daemon.end) == (1, 1, 0, 0)


def test_no_run(bench):
    bench.daemon.refuse["Attach"] = ("org.syncrun1.Error.NoSuchRun", "There is no run to take up.")
    run = bench.start()
    assert run.wait() == 1 and "There is no run to take up." in run.stderr


def test_a_run_that_the_daemon_has_ended(bench):
    """Its programs are stopped, what came is kept, and its counts are told later."""
    bench.settings(bench.python(LIVE))
    run = bench.start()
    wait_for(lambda: bench.daemon.cursor == "100", "the first cursor")
    bench.daemon.refuse = {name: ("org.syncrun1.Error.RunFinished", "It has ended.") for name in ("Report", "SaveCursor", "Finish")}
    go_on(bench)
    assert run.wait() == 1 and "It has ended." in run.stderr
    (stored,), = bench.items("SELECT count(*) FROM items")
    bench.daemon.refuse.clear()
    bench.next_run(2)
    bench.pull([])
    assert counts(bench.daemon.settled[RUN_ID]) == (stored, stored, 0, 0)


def killed_run(bench):
    bench.settings(bench.python(LIVE))
    run = bench.start()
    wait_for(lambda: bench.daemon.cursor == "100", "the first cursor")
    go_on(bench)
    run.kill()
    assert run.wait() == -signal.SIGKILL
    (stored,), = bench.items("SELECT count(*) FROM items")
    assert 100 <= stored <= 300
    return stored


def test_kill_and_settle(bench):
    stored = killed_run(bench)
    run = bench.start("--settle")
    assert run.wait() == 0 and list(bench.daemon.settled) == [RUN_ID]
    settled = bench.daemon.settled[RUN_ID]
    assert counts(settled) == (stored, stored, 0, 0)
    assert [(a["account"] if "account" in a else a["name"], *counts(a)) for a in settled["accounts"]] == [("a", stored, stored, 0, 0)]
    bench.daemon.settled.clear()
    assert bench.start("--settle").wait() == 0 and not bench.daemon.settled


def test_the_next_run_settles(bench):
    stored = killed_run(bench)
    bench.next_run(2)
    end = bench.pull([schema("s"), *[record(n, "s") for n in range(400)]])
    assert counts(bench.daemon.settled[RUN_ID]) == (stored, stored, 0, 0)
    assert counts(end) == (400, 400 - stored, 0, stored)
    assert bench.items("SELECT count(*) FROM tally") == [(0,)] and bench.items("SELECT count(*) FROM run WHERE settled = 0") == [(0,)]


@pytest.mark.parametrize(("error", "again"), [
    ("org.freedesktop.DBus.Error.InvalidArgs", False), ("org.syncrun1.Error.NoSuchRun", False), ("org.syncrun1.Error.RunActive", True)])
def test_counts_that_the_daemon_refuses(bench, error, again):
    """What it will never take does not stand before all runs to come; what it may take later is told once more."""
    killed_run(bench)
    bench.daemon.refuse["Settle"] = (error, "Not these.")
    run = bench.start("--settle")
    assert run.wait() == 0 and ("Not these." in run.stderr) == (not error.endswith("NoSuchRun"))
    assert ("will never take the counts of run " + RUN_ID in run.stderr) == error.endswith("InvalidArgs")
    bench.daemon.refuse.clear()
    assert bench.start("--settle").wait() == 0 and list(bench.daemon.settled) == [RUN_ID] * again


def test_a_run_that_is_taken_up_again_goes_on_counting(bench):
    stored = killed_run(bench)
    end = bench.pull([schema("s"), record(10_000, "s")])
    assert counts(end) == (stored + 1, stored + 1, 0, 0)


def test_settle_where_there_is_nothing(bench):
    assert bench.start("--settle").wait() == 0
    assert not bench.daemon.received and not list(bench.state.iterdir())


def test_settle_without_daemon_leaves_it_for_later(bench):
    killed_run(bench)
    bench.daemon.vanish()
    assert bench.start("--settle").wait() == 0
    bench.daemon.appear()
    assert bench.start("--settle").wait() == 0 and list(bench.daemon.settled) == [RUN_ID]


def test_terminated_while_the_daemon_is_away(bench):
    bench.settings(bench.python(LIVE))
    run = bench.start()
    wait_for(lambda: bench.daemon.cursor == "100", "the first cursor")
    bench.daemon.vanish()
    run.kill(signal.SIGTERM)
    assert run.wait() == 1 and "could not be told" in run.stderr
    bench.daemon.appear()
    assert bench.start("--settle").wait() == 0 and counts(bench.daemon.settled[RUN_ID]) == (100, 100, 0, 0)


@pytest.mark.parametrize("arguments, status", [(("--help",), 0), (("--version",), 0), (("--nonsense",), 64), (("Not A Name",), 64)])
def test_command_line(bench, arguments, status):
    assert bench.start(*arguments).wait() == status
