# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs on an installed system: started by schedule and by hand, seen in the journal, stopped, cut off, ended exactly.

A machine is shared by the tests of this file; each has connectors of its own names.
"""

import json
import os
import time

import pytest
from machine import Machine
from syncrun import MSG, Syncrun

FIELD_BYTES_MAX = 16 * 1024


@pytest.fixture(scope="module")
def syncrun(machine):
    machine.run("systemctl", "add-wants", "test.target", "syncrund.service")
    return Syncrun(machine)


def is_active(machine, unit):
    return machine.run("systemctl", "is-active", unit, check=False).stdout.strip()


def entry_fields(entry):
    return {key: value for key, value in entry.items() if key.startswith("SYNCRUN_")}


# ---- The daemon as a service


def test_the_bus_starts_the_daemon(machine, syncrun):
    machine.run("systemctl", "stop", "syncrund.service")
    assert is_active(machine, "syncrund.service") == "inactive"
    assert syncrun.data("DescribeConnectors", "a{sv}", 0, user="nobody")
    shown = machine.properties("syncrund.service", "ActiveState", "StatusText", "User", "NRestarts")
    assert shown["ActiveState"] == "active"
    assert shown["User"] == "syncrun"
    assert shown["StatusText"]
    assert machine.output("stat", "-c", "%U %a", "/var/lib/syncrun") == "syncrun 700"


def test_reload_reads_connectors(machine, syncrun):
    syncrun.add("late", "/bin/true", reload=False)
    machine.run("systemctl", "reload", "syncrund.service")
    assert syncrun.property("LoadState", "/org/syncrun1/connector/late", "org.syncrun1.Connector") == "loaded"
    syncrun.add("late", "/bin/true", connector="Source=nonsense", reload=False)
    machine.run("systemctl", "reload", "syncrund.service")
    assert syncrun.property("LoadState", "/org/syncrun1/connector/late", "org.syncrun1.Connector") == "bad-setting"
    syncrun.remove("late")


def test_log_level_by_systemctl(machine, syncrun):
    assert machine.output("systemctl", "service-log-level", "syncrund.service") == "info"
    machine.run("systemctl", "service-log-level", "syncrund.service", "debug")
    assert machine.output("systemctl", "service-log-level", "syncrund.service") == "debug"
    machine.run("systemctl", "service-log-level", "syncrund.service", "info")


# ---- A run


def test_a_scheduled_run_has_its_own_user(machine, syncrun):
    before = machine.now()
    syncrun.add_pull("clockwork", 1, 10, gate=True, schedule="OnCalendar=*:*:*")
    run_id = syncrun.wait("RUN_STARTED", "SYNCRUN_CONNECTOR=clockwork", after=before)["SYNCRUN_RUN_ID"]
    syncrun.wait_gate(run_id)  # by now journald knows whose lines these are
    syncrun.remove("clockwork")
    syncrun.open_gate("clockwork")
    entry = syncrun.wait("RUN_SUCCEEDED", f"SYNCRUN_RUN_ID={run_id}", after=before)
    assert entry["SYNCRUN_TRIGGER"] == "schedule"
    assert entry["_SYSTEMD_UNIT"] == "syncrund.service"

    lines = machine.journal(f"SYNCRUN_RUN_ID={entry['SYNCRUN_RUN_ID']}", "MESSAGE=done")
    assert [line["_SYSTEMD_UNIT"] for line in lines] == ["syncrun@clockwork.service"]
    user = machine.output("getent", "passwd", "sr-clockwork").split(":")
    assert lines[0]["_UID"] == user[2]
    run = syncrun.run(entry["SYNCRUN_RUN_ID"])
    assert run["invocation_id"] == lines[0]["_SYSTEMD_INVOCATION_ID"]
    assert run["outcome"] == "succeeded"
    assert run["requested_by"] is None or "schedule" in run["requested_by"]
    assert machine.output("stat", "-c", "%u %a", "/var/lib/private/syncrun-connector/clockwork") == f"{user[2]} 700"


def test_the_journal_has_all_of_a_run(machine, syncrun):
    user = "6f1d3c1e-2f0b-4d0e-8a57-0d5a2f1c9b11"
    syncrun.add_pull("fields", 1, 250, provider="acme", connector=f"User={user}")
    first = syncrun.start("fields")
    syncrun.wait_end(first)
    syncrun.add_pull("fields", 100, 300, gate=True, provider="acme", connector=f"User={user}")
    run_id = syncrun.start("fields", 1, "reason", "s", "a test")
    syncrun.wait_gate(run_id)  # by now journald knows whose lines these are
    syncrun.open_gate("fields")
    run = syncrun.wait_end(run_id)
    assert run["counts"] == {"discovered": 201, "added": 50, "updated": 0, "deduped": 151, "ingested": 50}
    assert syncrun.items("fields") == "300"

    entries = machine.journal(f"SYNCRUN_RUN_ID={run_id}")
    assert {entry["_SYSTEMD_UNIT"] for entry in entries} == {"syncrund.service", "syncrun@fields.service"}
    for entry in entries:
        assert entry["SYNCRUN_CONNECTOR"] == "fields"
        assert entry["SYNCRUN_PROVIDER"] == "acme"
    (end,) = [entry for entry in entries if entry.get("MESSAGE_ID") == MSG["RUN_SUCCEEDED"]]
    fields = entry_fields(end)
    assert fields.pop("SYNCRUN_DURATION_USEC").isdigit()
    expected = {
        "SYNCRUN_RUN_ID": run_id,
        "SYNCRUN_CONNECTOR": "fields",
        "SYNCRUN_PROVIDER": "acme",
        "SYNCRUN_USER_ID": user,
        "SYNCRUN_SOURCE": "pull",
        "SYNCRUN_TRIGGER": "manual",
        "SYNCRUN_REQUESTED_BY": "uid:0",
        "SYNCRUN_OUTCOME": "succeeded",
        "SYNCRUN_DISCOVERED": "201",
        "SYNCRUN_ADDED": "50",
        "SYNCRUN_UPDATED": "0",
        "SYNCRUN_DEDUPED": "151",
    }
    assert expected.items() <= fields.items()
    syncrun.remove("fields")


def test_resources_are_accounted(syncrun):
    syncrun.add_pull("costly", 1, 2000)
    run = syncrun.wait_end(syncrun.start("costly"))
    assert run["resources"]["cpu_usec"] > 1000
    assert run["resources"]["memory_peak_bytes"] > 1_000_000
    syncrun.remove("costly")


def test_a_program_that_is_missing(syncrun):
    syncrun.add("hollow", "/usr/local/bin/no-such-program")
    run = syncrun.wait_end(syncrun.start("hollow"))
    assert run["outcome"] == "failed"
    assert "no-such-program" in run["error"]
    syncrun.remove("hollow")


def test_a_worker_that_is_killed(machine, syncrun):
    syncrun.add_pull("murdered", 1, 200, gate=True)
    run_id = syncrun.start("murdered")
    syncrun.wait_gate(run_id)
    machine.run("systemctl", "kill", "--signal=KILL", "syncrun@murdered.service")
    run = syncrun.wait_end(run_id)
    assert run["outcome"] == "failed"
    assert "KILL" in run["error"]
    # What it had stored is counted, although it could not say so itself.
    assert run["counts"]["added"] == int(syncrun.items("murdered"))
    # Nothing is in the way of the next one.
    syncrun.add_pull("murdered", 1, 200)
    run = syncrun.wait_end(syncrun.start("murdered"))
    assert run["outcome"] == "succeeded"
    assert run["counts"]["discovered"] == 200
    assert syncrun.items("murdered") == "200"
    syncrun.remove("murdered")


def test_syncrunctl(machine, syncrun):
    syncrun.add_pull("by-hand", 1, 10)
    machine.run("syncrunctl", "start", "--wait", "by-hand")
    (run,) = syncrun.runs("by-hand")
    machine.run("journalctl", "--sync")
    log = machine.output("syncrunctl", "--no-pager", "log", run["id"]).splitlines()
    assert [line for line in log if line.endswith("done")]
    assert [line for line in log if "succeeded" in line]
    for n in (FIELD_BYTES_MAX, FIELD_BYTES_MAX + 1):
        machine.run("logger", "--journald", stdin=f"MESSAGE={'x' * n}\nSYNCRUN_RUN_ID={run['id']}\n", user="syncrun")
    machine.run("journalctl", "--sync")
    log = machine.output("syncrunctl", "--json=short", "log", run["id"]).splitlines()
    long = [message for line in log if (message := json.loads(line)["message"]).startswith("xxx")]
    assert long == ["x" * FIELD_BYTES_MAX, "x" * (FIELD_BYTES_MAX - len("…".encode())) + "…"]
    status = machine.output("syncrunctl", "--no-pager", "status", "by-hand")
    assert "by-hand - Made for a test" in status
    assert "done" in status
    items = machine.output("syncrunctl", "--json=short", "items", "by-hand").splitlines()
    assert {json.loads(line)["record"]["name"] for line in items} == {f"item {i}" for i in range(1, 11)}
    refused = machine.run("syncrunctl", "start", "by-hand", user="nobody", check=False)
    assert refused.returncode == 77
    assert len(syncrun.runs("by-hand")) == 1
    syncrun.remove("by-hand")


def test_only_those_who_ran_it_write_its_log(machine, syncrun):
    """Anybody may write lines with any field but those that journald adds."""
    syncrun.add_pull("quoted", 1, 10)
    run = syncrun.wait_end(syncrun.start("quoted"))
    for field, value in (("SYNCRUN_RUN_ID", run["id"]), ("INVOCATION_ID", run["invocation_id"])):
        line = f"MESSAGE=forged by {field}\\nPRIORITY=3\\nSYSLOG_IDENTIFIER=syncrund\\n{field}={value}\\n"
        machine.run("sh", "-c", f"printf '{line}' | logger --journald", user="nobody")
        machine.wait_journal(f"MESSAGE=forged by {field}")
    shown = (machine.output("syncrunctl", "--no-pager", "log", "quoted"),
             machine.output("syncrunctl", "--no-pager", "log", "--follow", "--lines=100", "quoted"),
             machine.output("syncrunctl", "--no-pager", "status", "quoted"),
             machine.output("syncrunctl", "--no-pager", "status", "--json=short", "quoted"),
             syncrun.data("DescribeLog", "sa{sv}", run["id"], 0)[0])
    for text in shown:
        assert "forged" not in text
        for true in ("done", "succeeded", "syncrun@quoted.service"):  # the last one is PID 1's
            assert true in text
    # Of a run that the history has forgotten, the daemon's lines name the connector.
    machine.shell("systemctl stop syncrund.service && systemctl mask --runtime syncrund.service")
    forgotten = machine.output("syncrunctl", "--no-pager", "log", run["id"])
    machine.shell("systemctl unmask --runtime syncrund.service && systemctl start syncrund.service")
    assert "forged" not in forgotten and "done" in forgotten and "succeeded" in forgotten
    syncrun.remove("quoted")


def test_log_follows_until_the_end(machine, syncrun):
    """Also over a restart of the daemon, in the middle of which the run ends."""
    syncrun.add_pull("told", 1, 10, gate=True)
    run = syncrun.start("told")
    follow = machine.start("syncrunctl", "log", "--follow", "--lines=100", "told")
    lines = []
    while not (lines and lines[-1].endswith("at the gate\n")):
        lines.append(follow.stdout.readline())
        assert lines[-1], lines
    interrupt_stop(machine)
    syncrun.open_gate("told")
    machine.run("systemctl", "start", "syncrund.service")
    rest, _ = follow.communicate(timeout=100)
    assert follow.returncode == 0
    assert [line for line in rest.splitlines() if line.endswith("done")]
    assert [line for line in rest.splitlines() if "succeeded" in line]
    assert syncrun.run(run)["outcome"] == "succeeded"
    # Of a run that has ended there is nothing more to come.
    machine.run("journalctl", "--sync")
    assert len(machine.output("syncrunctl", "log", "--follow", "--lines=1", "told").splitlines()) == 1
    syncrun.remove("told")


# ---- Who may do what


def refusal(done):
    assert done.returncode == 1, done.stdout
    return done.stderr


ALICE_MAY_TRIGGER = """
polkit.addRule(function(action, subject) {
        if (action.id == "org.syncrun1.trigger" && subject.user == "alice")
                return polkit.Result.YES;
});
"""


def test_polkit_denies_and_allows(machine, syncrun):
    machine.run("useradd", "--system", "alice")
    syncrun.add_pull("asked", 1, 10)
    start = ("StartRun", "sa{sv}", "asked", 0)
    assert "Authentication is required for org.syncrun1" in refusal(syncrun.call(*start, user="alice", check=False))
    assert "Authentication is required for org.syncrun1" in refusal(syncrun.call("Reload", user="alice", check=False))
    assert syncrun.runs("asked") == []

    machine.write("/etc/polkit-1/rules.d/10-alice.rules", ALICE_MAY_TRIGGER)
    machine.run("systemctl", "restart", "polkit.service")
    run = syncrun.wait_end(syncrun.start("asked", user="alice"))
    assert run["outcome"] == "succeeded"
    assert run["requested_by"] == "uid:" + machine.output("id", "-u", "alice")
    # One action does not bring another.
    denied = ("StartRun", "sa{sv}", "asked", 1, "full_resync", "b", "true")
    assert "Authentication is required for org.syncrun1" in refusal(syncrun.call(*denied, user="alice", check=False))
    assert "Authentication is required for org.syncrun1" in refusal(syncrun.call("Reload", user="alice", check=False))
    syncrun.remove("asked")


def test_only_its_worker_speaks_for_a_run(machine, syncrun):
    where = {"path": "/org/syncrun1/connector/any", "interface": "org.syncrun1.Worker"}
    for user in (None, "nobody", "syncrun"):
        done = syncrun.call("Attach", user=user, check=False, **where)
        assert "Access denied" in refusal(done)
    # Another connector's program is a worker to the bus, but not to the daemon.
    syncrun.add_pull("victim", 1, 10, gate=True)
    victim = syncrun.start("victim")
    syncrun.wait_gate(victim)
    call = "busctl call org.syncrun1 /org/syncrun1/connector/victim org.syncrun1.Worker"
    script = f"#!/bin/sh\n{call} Attach >&2\n{call} Finish sts {victim} 99 '{{}}' >&2\nexit 0\n"
    machine.write("/usr/local/bin/thief", script, mode=0o755)
    syncrun.add("thief", "/usr/local/bin/thief")
    thief = syncrun.start("thief")
    syncrun.wait_end(thief)
    said = syncrun.said(thief)
    assert len([line for line in said if line.startswith("Call failed:")]) == 2, said
    assert syncrun.run(victim)["state"] == "running"
    syncrun.open_gate("victim")
    assert syncrun.wait_end(victim)["counts"]["discovered"] == 10
    syncrun.remove("victim")
    syncrun.remove("thief")


def test_nobody_else_speaks_for_pid_1(machine, syncrun):
    """Anybody may send a signal to a connection by its name, whatever that listens for."""
    syncrun.add_pull("steady", 1, 10, gate=True)
    run_id = syncrun.start("steady")
    syncrun.wait_gate(run_id)
    owner = json.loads(machine.output("busctl", "--json=short", "call", "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                      "org.freedesktop.DBus", "GetNameOwner", "s", "org.syncrun1"))["data"][0]
    unit = "/org/freedesktop/systemd1/unit/syncrun_40steady_2eservice"
    for state in (("deactivating", "stop-sigterm"), ("inactive", "dead")):
        machine.run("busctl", f"--destination={owner}", "emit", unit, "org.freedesktop.DBus.Properties", "PropertiesChanged",
                    "sa{sv}as", "org.freedesktop.systemd1.Unit", "2", "ActiveState", "s", state[0], "SubState", "s", state[1],
                    "0", user="nobody")
    assert syncrun.run(run_id)["state"] == "running"
    syncrun.open_gate("steady")
    assert syncrun.wait_end(run_id)["outcome"] == "succeeded"
    syncrun.remove("steady")


NOSY = """#!/bin/sh
private=/var/lib/private/syncrun-connector
for path in $private/secretive /var/lib/syncrun-connector/secretive /var/lib/syncrun /root /home; do
        ls $path/ >/dev/null 2>&1 && echo "SEEN $path" >&2
done
[ "$(ls $private)" = nosy ] || echo "SEEN $(ls $private)" >&2
for path in /dev/kmsg /proc/1/environ /proc/kcore $private/secretive/items.db; do
        head -c 1 $path >/dev/null 2>&1 && echo "SEEN $path" >&2
done
for path in /etc /usr /var /var/lib /run /proc/sys/kernel/hostname; do
        touch $path/mark 2>/dev/null && echo "WRITTEN $path" >&2
done
echo looked >&2
"""


def test_connectors_cannot_see_each_other(machine, syncrun):
    syncrun.add_pull("secretive", 1, 10)
    syncrun.wait_end(syncrun.start("secretive"))
    machine.write("/usr/local/bin/nosy", NOSY, mode=0o755)
    syncrun.add("nosy", "/usr/local/bin/nosy")
    nosy = syncrun.start("nosy")
    syncrun.wait_end(nosy)
    said = syncrun.said(nosy)
    assert "looked" in said
    assert not [line for line in said if line.startswith(("SEEN", "WRITTEN"))]
    syncrun.remove("nosy")
    syncrun.remove("secretive")


# ---- Stops, restarts, losses


def test_systemctl_stop_is_a_cancel(machine, syncrun):
    syncrun.add_pull("stopped", 1, 400, gate=True)
    run_id = syncrun.start("stopped")
    syncrun.wait_gate(run_id)
    machine.run("systemctl", "stop", "syncrun@stopped.service")
    run = syncrun.wait_end(run_id)
    assert (run["outcome"], run["state"]) == ("cancelled", "finished")
    assert is_active(machine, "syncrun@stopped.service") == "inactive"
    syncrun.remove("stopped")


def test_cancel_by_the_bus(machine, syncrun):
    syncrun.add_pull("cancelled", 1, 400, gate=True)
    run_id = syncrun.start("cancelled")
    syncrun.wait_gate(run_id)
    syncrun.call("CancelRun", "s", run_id)
    run = syncrun.wait_end(run_id)
    assert run["outcome"] == "cancelled"
    assert is_active(machine, "syncrun@cancelled.service") == "inactive"
    syncrun.remove("cancelled")


def interrupt_restart(machine):
    machine.run("systemctl", "restart", "syncrund.service")


def interrupt_kill(machine):
    machine.run("systemctl", "kill", "--kill-whom=main", "--signal=KILL", "syncrund.service")


def interrupt_stop(machine):
    # A worker that calls meanwhile activates the daemon again, which cancels the job: it was stopped all the same.
    machine.run("systemctl", "stop", "syncrund.service", check=False)


@pytest.mark.parametrize("interrupt", [interrupt_restart, interrupt_kill, interrupt_stop])
def test_a_run_outlives_the_daemon(machine, syncrun, interrupt):
    name = interrupt.__name__.replace("interrupt_", "outlives-")
    syncrun.add_pull(name, 1, 5000, gate=True)
    run_id = syncrun.start(name)
    syncrun.wait_gate(run_id)
    worker = machine.properties(f"syncrun@{name}.service", "MainPID", "InvocationID")
    interrupt(machine)
    assert machine.properties(f"syncrun@{name}.service", "MainPID", "InvocationID") == worker
    # The worker's next call starts the daemon, if nothing else has done so.
    syncrun.open_gate(name)
    run = syncrun.wait_end(run_id)
    assert run["outcome"] == "succeeded"
    assert run["invocation_id"] == worker["InvocationID"]
    assert run["counts"] == {"discovered": 5000, "added": 5000, "updated": 0, "deduped": 0, "ingested": 5000}
    assert syncrun.items(name) == "5000"
    assert len(syncrun.runs(name)) == 1
    # It goes on behind the last item, and counts none of them again.
    syncrun.add_pull(name, 1, 5000)
    run = syncrun.wait_end(syncrun.start(name))
    assert run["counts"] == {"discovered": 5000, "added": 0, "updated": 0, "deduped": 5000, "ingested": 0}
    syncrun.remove(name)


def test_a_run_outlives_many_daemons(machine, syncrun):
    """The daemon is killed over and over while the worker reports."""
    syncrun.add_pull("stubborn", 1, 300_000)
    run_id = syncrun.start("stubborn")
    syncrun.wait("RUN_STARTED", f"SYNCRUN_RUN_ID={run_id}")
    assert syncrun.run(run_id)["state"] == "running"
    for _ in range(4):
        before = machine.now()
        interrupt_kill(machine)
        syncrun.run(run_id)  # active or ended by now: it is there
        syncrun.wait("DAEMON_STARTED", after=before)
    run = syncrun.wait_end(run_id)
    assert run["outcome"] == "succeeded"
    assert run["counts"] == {"discovered": 300_000, "added": 300_000, "updated": 0, "deduped": 0, "ingested": 300_000}
    assert syncrun.items("stubborn") == "300000"
    syncrun.remove("stubborn")


def test_a_worker_that_dies_while_the_daemon_is_away(machine, syncrun):
    syncrun.add_pull("orphan", 1, 100, gate=True)
    run_id = syncrun.start("orphan")
    syncrun.wait_gate(run_id)
    interrupt_stop(machine)
    machine.run("systemctl", "kill", "--signal=KILL", "syncrun@orphan.service")
    machine.run("systemctl", "start", "syncrund.service")
    run = syncrun.wait_end(run_id)
    assert run["outcome"] == "failed"
    assert run["error"]
    syncrun.remove("orphan")


def test_a_stop_while_the_daemon_is_away(machine, syncrun):
    syncrun.add_pull("left", 1, 100, gate=True)
    run_id = syncrun.start("left")
    syncrun.wait_gate(run_id)
    interrupt_stop(machine)
    machine.run("systemctl", "stop", "syncrun@left.service")
    machine.run("systemctl", "start", "syncrund.service")
    run = syncrun.wait_end(run_id)
    assert run["outcome"] == "cancelled"
    syncrun.remove("left")


@pytest.fixture
def own(installed):
    """A machine for one test, which it may break."""
    with Machine(installed) as machine:
        machine.boot()
        machine.run("systemctl", "add-wants", "test.target", "syncrund.service")
        yield Syncrun(machine)


def test_power_loss_in_a_run(own):
    machine = own.machine
    own.add_pull("cut-off", 1, 1000, gate=True)
    run_id = own.start("cut-off")
    own.wait_gate(run_id)
    machine.power_loss()
    machine.boot()
    own.wait("RUN_LOST", f"SYNCRUN_RUN_ID={run_id}")
    run = own.run(run_id)
    assert (run["state"], run["outcome"]) == ("finished", "failed")
    assert run["error"]
    own.add_pull("cut-off", 1, 1000)
    run = own.wait_end(own.start("cut-off"))
    assert run["outcome"] == "succeeded"
    assert run["counts"]["discovered"] == 1000
    assert own.items("cut-off") == "1000"


def let_a_second_pass():
    """Times that are missed have to go by: until the clock shows another second."""
    now = int(time.time())
    while int(time.time()) == now:
        os.sched_yield()


def test_a_run_that_was_cut_off_is_made_up_for(own):
    own.add_pull("resumed", 1, 1000, gate=True, schedule="OnCalendar=*:*:*\nPersistent=yes")
    lost = own.wait("RUN_STARTED", "SYNCRUN_CONNECTOR=resumed")["SYNCRUN_RUN_ID"]
    own.wait_gate(lost)
    own.machine.power_loss()
    let_a_second_pass()
    own.machine.boot()
    own.wait("RUN_LOST", f"SYNCRUN_RUN_ID={lost}")
    started = own.wait("RUN_STARTED", "SYNCRUN_CONNECTOR=resumed", "SYNCRUN_TRIGGER=catch-up")
    own.wait_gate(started["SYNCRUN_RUN_ID"])
    own.open_gate("resumed")
    assert own.wait_end(started["SYNCRUN_RUN_ID"])["outcome"] == "succeeded"
    assert own.items("resumed") == "1000"


def test_shutdown_is_no_cancel(own):
    """Nobody has cancelled it: it is lost, and what it was to do is done when the machine is up again."""
    machine = own.machine
    own.add_pull("evening", 1, 1000, gate=True, run="RetryMax=3\nRetrySec=100ms")
    run_id = own.start("evening", 1, "full_resync", "b", "true")
    own.wait_gate(run_id)
    machine.power_off()
    machine.boot()
    run = own.run(run_id)
    assert (run["state"], run["outcome"], run["error"]) == (
        "finished", "failed", "The run was lost: the machine was shut down")
    started = own.wait("RUN_STARTED", "SYNCRUN_CONNECTOR=evening", "SYNCRUN_TRIGGER=retry")["SYNCRUN_RUN_ID"]
    own.wait_gate(started)
    own.open_gate("evening")
    retry = own.wait_end(started)
    assert (retry["outcome"], retry["full_resync"], retry["retry_of"]) == ("succeeded", True, run_id)
    assert own.items("evening") == "1000"


def test_a_missed_run_is_made_up_for(own):
    machine = own.machine
    own.add_pull("daily", 1, 10, schedule="OnCalendar=*:*:*\nPersistent=yes")
    own.add_pull("fleeting", 1, 10, schedule="OnCalendar=*:*:*\nPersistent=no")
    own.wait("RUN_SUCCEEDED", "SYNCRUN_CONNECTOR=daily")
    machine.power_off()
    let_a_second_pass()
    machine.boot()
    own.wait("RUN_SUCCEEDED", "SYNCRUN_CONNECTOR=daily", "SYNCRUN_TRIGGER=catch-up")
    own.wait("RUN_SUCCEEDED", "SYNCRUN_CONNECTOR=daily", "SYNCRUN_TRIGGER=schedule")
    own.wait("RUN_SUCCEEDED", "SYNCRUN_CONNECTOR=fleeting", "SYNCRUN_TRIGGER=schedule")
    assert [run["trigger"] for run in own.runs("daily")].count("catch-up") == 1
    assert "catch-up" not in [run["trigger"] for run in own.runs("fleeting")]
