# SPDX-License-Identifier: LGPL-2.1-or-later
"""The daemon with the real worker: what a person gets who writes a connector."""

import json
import os
import select
import signal
import sqlite3
import stat

import pytest
from harness import CONNECTOR, RUN, Daemon, connector_path, options, run_path, wait_for
from receiver import Receiver, answer
from webhooks import LOCAL


@pytest.fixture
def real(bus, tmp_path):
    instance = Daemon(bus, tmp_path, worker=os.environ["SYNCRUN_WORKER_PROGRAM"])
    instance.programs = tmp_path / "programs"
    instance.programs.mkdir()
    yield instance
    instance.close()


def connector(daemon, name, script, extra=""):
    program = daemon.programs / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(stat.S_IRWXU)
    daemon.add(name, f"[Pipeline]\nExecPull={program}\n{extra}")


def records(*keys):
    schema = {"type": "SCHEMA", "stream": "items", "schema": {}, "key_properties": ["id"]}
    lines = [schema, *({"type": "RECORD", "stream": "items", "record": {"id": key, "text": f"number {key}"}} for key in keys)]
    return "\n".join(f"echo '{json.dumps(line)}'" for line in lines)


def finished(client, run):
    path = run_path(run)
    wait_for(lambda: client.get(path, RUN, "State") == "finished", "the end")
    return client.get_all(path, RUN)


def test_first_run_adds_and_second_dedupes(real, client):
    connector(real, "list", records(1, 2, 3))
    real.start()
    first = finished(client, client.start("list")[0])
    assert (first["Outcome"], first["Discovered"], first["Added"], first["Deduped"]) == ("succeeded", 3, 3, 0)
    second = finished(client, client.start("list")[0])
    assert (second["Outcome"], second["Added"], second["Deduped"]) == ("succeeded", 0, 3)


def test_cursor_comes_back(real, client):
    connector(real, "list", f"cat \"$SYNCRUN_STATE\" >>{real.programs}/seen; echo >>{real.programs}/seen\n"
              "echo '{\"type\":\"STATE\",\"value\":{\"page\":7}}'")
    real.start()
    for full in (False, False, True):
        assert finished(client, client.start("list", full_resync=full)[0])["Outcome"] == "succeeded"
    seen = (real.programs / "seen").read_text().splitlines()
    assert [json.loads(line) for line in seen] == [{}, {"page": 7}, {}]


def test_failure_needs_attention_and_recovers(real, client):
    connector(real, "list", "echo 'not allowed in' >&2; exit 77")
    real.start()
    run = finished(client, client.start("list")[0])
    assert run["Outcome"] == "failed"
    wait_for(lambda: client.get(connector_path("list"), CONNECTOR, "AttentionCategory") != "", "the need for attention")
    connector(real, "list", records(1))
    client.manager("Reload")
    assert finished(client, client.start("list")[0])["Outcome"] == "succeeded"
    wait_for(lambda: client.get(connector_path("list"), CONNECTOR, "AttentionCategory") == "", "the recovery")


def test_cancel_ends_the_programs(real, client):
    connector(real, "list", f"echo $$ >{real.programs}/pid.new; mv {real.programs}/pid.new {real.programs}/pid\n"
              "echo '{\"type\":\"PROGRESS\",\"stage\":\"processing\"}'\nexec cat <&9", extra="")
    fifo = real.programs / "fifo"
    os.mkfifo(fifo)
    program = real.programs / "list"
    program.write_text(program.read_text().replace("exec cat <&9", f"exec cat {fifo}"))
    real.start()
    run, path, *_ = client.start("list")
    wait_for(lambda: client.get(path, RUN, "Stage") == "processing", "the program")
    watch = os.pidfd_open(int((real.programs / "pid").read_text()))
    client.call(path, RUN, "Cancel")
    assert finished(client, run)["Outcome"] == "cancelled"
    assert select.select([watch], [], [], 0)[0], "it is alive"
    os.close(watch)


@pytest.mark.parametrize("end", ["restart", "kill9"])
def test_daemon_away_in_the_middle(real, client, end):
    """The worker goes on without it; the counts are exact."""
    fifo = real.programs / "fifo"
    os.mkfifo(fifo)
    connector(real, "list", f"{records(1, 2)}\necho '{{\"type\":\"PROGRESS\",\"stage\":\"saving\"}}'\ncat {fifo}\n{records(3)}")
    real.start()
    run, path, *_ = client.start("list")
    wait_for(lambda: client.get(path, RUN, "Stage") == "saving", "the middle")
    if end == "restart":
        real.restart()
    else:
        real.kill9()
        real.start()
    assert client.get(path, RUN, "State") == "running"
    with open(fifo, "w") as file:
        file.write("")
    properties = finished(client, run)
    assert (properties["Outcome"], properties["Added"], properties["Discovered"]) == ("succeeded", 3, 3)


def test_worker_that_is_killed_ends_its_run_with_exact_counts(real, client):
    fifo = real.programs / "fifo"
    os.mkfifo(fifo)
    state = '{"type":"STATE","value":{"page":1}}'
    connector(real, "list", f"{records(1, 2)}\necho '{state}'\n"
              f"echo '{{\"type\":\"PROGRESS\",\"stage\":\"saving\"}}'\nexec cat {fifo}")
    real.start()
    run, path, *_ = client.start("list")
    wait_for(lambda: client.get(path, RUN, "Stage") == "saving", "the middle")
    workers = [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and is_worker(pid, real)]
    assert len(workers) == 1
    os.kill(workers[0], signal.SIGKILL)
    properties = finished(client, run)
    assert properties["Outcome"] == "failed"
    assert "KILL" in properties["Error"]


def is_worker(pid, daemon, keeper=False):
    """A process of this daemon's alone: tests run beside each other."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            command = file.read()
        with open(f"/proc/{pid}/environ", "rb") as file:
            environment = file.read()
    except OSError:
        return False
    return command.split(b"\0")[0].endswith(b"syncrun-worker") and (b"--keep" in command.split(b"\0")) == keeper \
        and str(daemon.state).encode() in environment


@pytest.mark.parametrize("end", ["well", "worker", "keeper", "cancel"])
def test_nothing_outlives_its_run(real, client, end):
    """Also in a session of its own, and however the run ends: what the cgroup does for a unit."""
    fifo, left = real.programs / "fifo", real.programs / "left"
    os.mkfifo(fifo)
    connector(real, "list", f"{records(1)}\n"
              f"setsid sh -c 'echo $$ >>{left}; sleep 1000 & echo $! >>{left}; wait' </dev/null >/dev/null 2>&1 &\n"
              f"until [ \"$(wc -l <{left})\" = 2 ]; do :; done 2>/dev/null\n"
              f"echo '{{\"type\":\"PROGRESS\",\"stage\":\"saving\"}}'\ncat {fifo}")
    real.start()
    run, path, *_ = client.start("list")
    wait_for(lambda: client.get(path, RUN, "Stage") == "saving", "the middle")
    pids = [int(pid) for pid in left.read_text().split()]
    watches = [os.pidfd_open(pid) for pid in pids]
    if end == "well":
        fifo.open("w").close()
    elif end == "cancel":
        client.manager("CancelRun", "(s)", run)
    else:
        keepers = [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and is_worker(pid, real, keeper=end == "keeper")]
        os.kill(keepers[0], signal.SIGQUIT if end == "keeper" else signal.SIGKILL)
    outcome = finished(client, run)["Outcome"]
    assert outcome == {"well": "succeeded", "cancel": "cancelled"}.get(end, "failed")
    for watch in watches:
        assert select.select([watch], [], [], 0)[0], "something of the run is alive"
        os.close(watch)


def test_a_run_whose_connector_has_lost_its_file(real, client):
    """While the daemon was away: the worker still finds its connector, which goes with the run."""
    fifo = real.programs / "fifo"
    os.mkfifo(fifo)
    connector(real, "list", f"{records(1)}\necho '{{\"type\":\"PROGRESS\",\"stage\":\"saving\"}}'\ncat {fifo}\n{records(2)}")
    real.start()
    run, path, *_ = client.start("list")
    wait_for(lambda: client.get(path, RUN, "Stage") == "saving", "the middle")
    real.stop()
    (real.connectors / "list.connector").unlink()
    real.start()
    fifo.open("w").close()
    assert finished(client, run)["Outcome"] == "succeeded"
    assert client.get(path, RUN, "Added") == 2
    wait_for(lambda: not client.describe("DescribeConnectors")["connectors"], "the connector's end")


def test_items_are_in_the_destination(real, client, tmp_path):
    path = tmp_path / "items.db"
    connector(real, "list", records(1, 2), extra=f"[Destination]\nType=sqlite\nPath={path}\n")
    real.start()
    assert finished(client, client.start("list")[0])["Outcome"] == "succeeded"
    with sqlite3.connect(path) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    database.close()
    assert tables


def test_a_success_tells_of_the_lines_that_could_not_be_used(real, client):
    """In the run, in its last event and in the journal."""
    connector(real, "rough", "echo garbage\necho more\n" + records(*range(200)))
    real.start()
    run = client.start("rough")[0]
    properties = finished(client, run)
    assert properties["Outcome"] == "succeeded"
    assert properties["Message"] == "Sync completed · 200 new, 0 updated · 2 lines could not be used"
    events = client.describe("DescribeEvents", run=run, newest_first=True, limit=1)["events"]
    assert events[0]["event"]["message"] == properties["Message"]
    assert f"run {run} succeeded: {properties['Message']}" in real.log()


def test_a_stopped_program_ends_with_the_stall_timeout(real, client):
    connector(real, "frozen", records(1, 2) + "\nkill -STOP $$", "[Run]\nStallTimeoutSec=2s\nRetryMax=0\n")
    real.start()
    run = finished(client, client.start("frozen")[0])
    # How far it came is for the machine to say: a slow one is stopped before it has begun.
    assert run["Outcome"] == "failed" and run["Added"] <= 2 and "Nothing was heard" in run["Error"], run["Error"]


IMPOSTOR = """#!/usr/bin/python3
# A connector whose program leaves a child behind, which becomes one of the keeper, as the worker is, and calls like it.
import os, sys
answered, answer = os.pipe()
program = os.getpid()
if os.fork() == 0:
    middle = os.getpid()
    if os.fork() > 0:
        os._exit(0)
    os.set_inheritable(answer, True)
    while os.getppid() == middle:
        os.sched_yield()
    os.dup2(os.open({path!r}, os.O_CREAT | os.O_WRONLY), 2)
    os.execvp("busctl", ["busctl", "--address={bus}", "call", "org.syncrun1",
                         "/org/syncrun1/connector/list", "org.syncrun1.Worker", "Attach"])
os.close(answer)
os.read(answered, 1)
"""


def test_a_child_of_the_keeper_is_not_the_worker(real, client, bus):
    program = real.programs / "impostor"
    said = real.programs / "said"
    program.write_text(IMPOSTOR.format(path=str(said), bus=bus.address))
    program.chmod(stat.S_IRWXU)
    connector(real, "list", f"exec {program}")
    real.start()
    assert finished(client, client.start("list")[0])["Outcome"] == "succeeded"
    assert "not the worker" in said.read_text()


def test_records_are_sent_again_after_a_run_that_has_given_up(real, client):
    """A worker that was refused sends nothing more in its run, which may go on for long: another one follows it."""
    fifo, refusal = real.programs / "fifo", answer(503, Retry_After="3600")  # more time than a run has
    os.mkfifo(fifo)
    receiver = Receiver(script=[refusal, refusal])
    real.write("syncrun.conf", LOCAL.format(retry="1h", more=""))
    connector(real, "list", f"if mkdir {real.programs}/first; then\n{records(1, 2)}\nelif mkdir {real.programs}/second; then cat {fifo}\nfi",
              f"[Run]\nRetryMax=0\n[Destination]\nType=webhook\nUrl={receiver.url()}\n")
    real.start()

    def deliveries():
        return json.loads(client.manager("DescribeDeliveries", "(a{sv})", options(connector="list")))["deliveries"]

    try:
        assert finished(client, client.start("list")[0])["Outcome"] == "failed"
        run = client.start("list")[0]
        wait_for(lambda: len(deliveries()) == 2, "the second refusal")
        client.manager("ResendDelivery", "(ssa{sv})", "list", deliveries()[0]["id"], options())
        assert client.get(run_path(run), RUN, "State") == "running"
        fifo.write_text("")
        assert finished(client, run)["Outcome"] == "failed"
        wait_for(lambda: len(deliveries()) == 3, "the third one")
        taken = deliveries()[0]
        assert (taken["succeeded"], taken["records"]) == (True, 2) and taken["runId"] != run
        assert finished(client, taken["runId"])["Outcome"] == "succeeded"
        assert len({request.body for request in receiver.requests}) == 1
    finally:
        receiver.close()
