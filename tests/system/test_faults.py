# SPDX-License-Identifier: LGPL-2.1-or-later
"""The installed system under power losses, and what may happen to its disk. What has to hold is what the campaign checks
(tests/fault/promises.py), which kills it at random moments."""

import json
import re
import sys
from pathlib import Path

import pytest
from machine import Machine
from syncrun import MSG, Syncrun

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fault"))
from promises import Promises, check_cursor, check_items, live

NAMES = [f"busy{i}" for i in range(5)]
SOURCE = (Path(__file__).resolve().parents[1] / "fault/source").read_text()
ENDED_WITHIN_SEC = 60
LOSSES = 3


@pytest.fixture
def own(installed):
    with Machine(installed) as machine:
        machine.write("/usr/local/bin/source", SOURCE, mode=0o755)
        machine.write("/etc/syncrun/syncrun.conf.d/test.conf", "[Daemon]\nMaxConcurrentRuns=4\nMaxConcurrentRunsPerProvider=4\n")
        machine.boot()
        machine.run("systemctl", "add-wants", "test.target", "syncrund.service")
        yield Syncrun(machine)


def add_all(own, batches, **options):
    for name in NAMES:
        own.add(name, f"/usr/local/bin/source {batches} 20", reload=False, **options)
    own.call("Reload")


def items_path(own, name):
    return Path(f"{own.machine.root}/var/lib/private/syncrun-connector/{name}/items.db")


def check(own, promises, exact):
    with live(Path(f"{own.machine.root}/var/lib/syncrun/history.db")) as history:
        promises.check(history, whole=True)
        for name in NAMES:
            check_cursor(history, name, items_path(own, name))
            check_items(history, name, items_path(own, name), exact)


def start_all(own, promises):
    for name in NAMES:
        promises.runs[own.start(name)] = name


def end_all(own, promises):
    """A last run of each, which also tells what a killed worker left untold."""
    add_all(own, 1)
    for name in NAMES:
        run = own.start(name)
        promises.runs[run] = name
        assert own.wait_end(run)["outcome"] == "succeeded"
    check(own, promises, exact=True)


def unfinished(own):
    return [run for name in NAMES for run in own.runs(name) if run["state"] != "finished"]


def test_power_losses(own):
    """Each run that was cut off fails with a reason within seconds; queued ones go on; nothing is told that is not stored."""
    machine, promises = own.machine, Promises()
    add_all(own, 1000000)
    for loss in range(LOSSES):
        before = machine.now()
        start_all(own, promises)
        own.wait("RUN_STARTED", f"SYNCRUN_CONNECTOR={NAMES[loss]}", after=before)
        cut_off = {run["id"] for run in unfinished(own) if run["state"] in ("starting", "running")}
        assert cut_off
        machine.power_loss()
        machine.boot()
        for run in cut_off:
            own.wait("RUN_LOST", f"SYNCRUN_RUN_ID={run}", timeout=ENDED_WITHIN_SEC)
            told = own.run(run)
            assert (told["state"], told["outcome"]) == ("finished", "failed")
            assert told["error"]
        check(own, promises, exact=False)
        for run in unfinished(own):
            own.call("CancelRun", "s", run["id"], check=False)
            own.wait_end(run["id"])
    end_all(own, promises)


HISTORY = "/var/lib/syncrun/history.db"


def test_a_damaged_history_is_no_crash_loop(own):
    machine = own.machine
    own.call("Reload")
    machine.run("systemctl", "stop", "syncrund.service")
    machine.shell(f"dd if=/dev/urandom of={HISTORY} bs=1k count=64 status=none")
    assert machine.run("systemctl", "start", "syncrund.service", check=False).returncode != 0
    shown = machine.properties("syncrund.service", "ActiveState", "ExecMainStatus", "NRestarts", "StatusText")
    assert (shown["ActiveState"], shown["ExecMainStatus"], shown["NRestarts"]) == ("failed", "65", "0")
    assert HISTORY in shown["StatusText"] and "backup" in shown["StatusText"]
    found = diagnose(own, 1)
    assert HISTORY in found["units"]["text"] and HISTORY in found["daemon"]["text"]
    # It is told at once, by whatever asks: nobody waits for the bus to give up.
    done = machine.run("syncrunctl", "list", check=False)
    assert done.returncode == 69 and HISTORY in done.stderr and "'systemctl restart syncrund'" in done.stderr
    refused = machine.journal(f"MESSAGE_ID={MSG['STORE_REFUSED']}")
    assert len(refused) == 2, "by systemctl, and once by who asks"
    for entry in refused:
        assert HISTORY in entry["MESSAGE"] and entry["PRIORITY"] == "3"
    machine.shell(f"rm {HISTORY}*")
    machine.run("systemctl", "restart", "syncrund.service")
    own.call("Reload")
    assert machine.properties("syncrund.service", "ActiveState")["ActiveState"] == "active"


def bring_back():
    """What syncrund(8) gives to make a copy, and to bring it back."""
    page = (Path(__file__).resolve().parents[2] / "docs/syncrund.8.scd").read_text()
    (copy,) = re.findall(r"^\t(sqlite3 .*VACUUM INTO.*)$", page, re.M)
    (lines,) = re.findall(r"^To bring a copy back:\n\n```\n(.*?)```$", page, re.M | re.S)
    return copy, lines.splitlines()


def test_a_copy_is_brought_back_while_a_run_is_under_way(own):
    """By the lines of the man page; its worker waits, and goes on. And without them: the service notices."""
    machine = own.machine
    copy, (mask, *others) = bring_back()
    own.add_pull("long", 1, 10, gate=True)
    own.add_pull("quick", 1, 10)
    kept = own.start("long")
    own.wait_gate(kept)
    machine.shell(copy)
    lost = own.start("quick")
    own.wait_end(lost)
    machine.shell(mask)
    done = own.call("StartRun", "sa{sv}", "quick", 0, check=False)
    assert done.returncode != 0 and "masked" in done.stderr
    assert "masked" in machine.run("syncrunctl", "list", check=False).stderr
    own.open_gate("long")
    machine.wait_journal(f"SYNCRUN_RUN_ID={kept}", "MESSAGE=done")
    shown = machine.properties("syncrund.service", "ActiveState", "MainPID")
    assert (shown["ActiveState"], shown["MainPID"]) == ("inactive", "0")
    for line in others:
        machine.shell(line)
    assert own.wait_end(kept)["outcome"] == "succeeded"
    assert own.runs("quick") == []

    kept = own.start("long")
    own.wait_gate(kept)
    machine.shell("rm /var/backups/syncrun.db; " + copy)
    before = machine.now()
    machine.shell(others[1])
    own.wait("STORE_TAKEN", after=before)
    own.wait("DAEMON_STARTED", after=before)
    own.open_gate("long")
    assert own.wait_end(kept)["outcome"] == "succeeded"
    assert machine.properties("syncrund.service", "NRestarts")["NRestarts"] == "1"

    before = machine.now()
    machine.shell(f"rm {HISTORY}")
    own.wait("STORE_TAKEN", after=before)
    assert "file was removed" in diagnose(own, 1)["storage"]["text"]
    assert len(own.runs("long")) == 2
    machine.run("systemctl", "restart", "syncrund.service")
    own.wait("STORE_NEW", after=before)
    assert own.runs("long") == []


def diagnose(own, status, user="root"):
    """{check: finding} as doctor gives it; the last one of each."""
    done = own.machine.run("syncrunctl", "doctor", "--json=short", user=user, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return {entry["check"]: entry for entry in json.loads(done.stdout)["findings"]}


def test_doctor(own):
    """What is right is found right, by anybody; what is taken away is missed."""
    machine = own.machine
    own.add_pull("well", 1, 10)
    machine.run("systemctl", "enable", "syncrund.service")
    for user in ("root", "nobody"):
        found = diagnose(own, 0, user)
        for check in ("bus", "units", "daemon", "storage", "polkit", "users", "files", "attention"):
            assert found[check]["finding"] == "good", found[check]
    secret = "/etc/syncrun/connectors/well.connector"
    machine.shell(f"chmod 0600 {secret}")
    own.call("Reload")
    verified = machine.run("syncrunctl", "verify", check=False)
    assert verified.returncode == 1 and "User syncrun may not read it" in verified.stdout
    assert "User syncrun may not read it" in diagnose(own, 1)["files"]["advice"]
    assert "'syncrunctl status'" in machine.run("syncrunctl", "start", "well", check=False).stderr
    assert "Permission denied" in machine.run("syncrunctl", "status", "well", check=False).stdout
    machine.shell(f"chmod 0644 {secret}; install -m 0600 /dev/null /etc/syncrun/syncrun.conf")
    assert "User syncrun may not read it" in machine.run("syncrunctl", "verify", check=False).stdout
    machine.shell("rm /etc/syncrun/syncrun.conf; chmod 0700 /etc/syncrun/connectors")
    refused = machine.run("syncrunctl", "reload", check=False)
    assert refused.returncode == 6 and "User syncrun may not read the folders" in refused.stderr
    assert "/etc/syncrun/connectors: " in machine.run("syncrunctl", "verify", check=False).stdout
    machine.run("systemctl", "restart", "syncrund.service")
    own.wait("CONFIG_UNREAD")
    assert "well" not in machine.run("syncrunctl", "list", "--json=short").stdout
    assert "Permission denied" in machine.properties("syncrund.service", "StatusText")["StatusText"]
    assert "/etc/syncrun/connectors cannot be read" in diagnose(own, 1)["files"]["text"]
    after = machine.now()
    machine.shell("chmod 0755 /etc/syncrun/connectors")  # which is noticed
    own.wait("CONFIG_READ", after=after)
    assert machine.run("syncrunctl", "verify", check=False).returncode == 0
    dropin = f"{secret}.d/secret.conf"
    machine.shell(f"mkdir {secret}.d; install -m 0600 /dev/null {dropin}; chmod 0755 {secret}.d")
    assert f"{dropin} cannot be read" in diagnose(own, 1)["files"]["text"]
    verified = machine.run("syncrunctl", "verify", check=False)
    assert verified.returncode == 1 and f"{dropin}: " in verified.stdout
    machine.shell(f"rm -r {secret}.d")
    own.call("Reload")
    machine.shell("systemctl stop polkit.service; systemctl mask --runtime polkit.service")
    assert "polkit.service is masked" in diagnose(own, 1)["polkit"]["text"]
    error = own.wait_end(own.start("well"))["error"]
    assert "polkit.service is masked" in error and "unmask syncrun@" not in error
    machine.run("systemctl", "unmask", "--runtime", "polkit.service")
    machine.run("systemctl", "mask", "--runtime", "syncrun@well.service")
    assert "'systemctl unmask syncrun@well.service'" in own.wait_end(own.start("well"))["error"]
    machine.run("systemctl", "unmask", "--runtime", "syncrun@well.service")
    assert own.wait_end(own.start("well"))["outcome"] == "succeeded"
    machine.run("systemctl", "disable", "syncrund.service")
    machine.write("/etc/nsswitch.conf", "passwd: files\ngroup: files systemd\n")
    machine.shell("rm /usr/share/polkit-1/actions/org.syncrun1.policy; systemctl restart polkit.service")
    found = diagnose(own, 1)
    assert found["units"]["finding"] == "warning" and "systemctl enable" in found["units"]["advice"]
    assert found["users"]["finding"] == "bad" and "libnss-systemd" in found["users"]["advice"]
    assert found["polkit"]["finding"] == "bad"
    machine.shell("rm /lib/systemd/system/syncrun@.service; systemctl daemon-reload")
    assert "syncrun@" in diagnose(own, 1)["units"]["text"]


def test_a_full_disk_goes_by(own):
    machine = own.machine
    own.add_pull("thrifty", 1, 10)
    machine.run("systemctl", "stop", "syncrund.service")
    machine.shell("mount -t tmpfs -o size=2m,mode=0700 tmpfs /var/lib/syncrun; systemctl start syncrund.service")
    machine.run("sh", "-c", "cat /dev/zero >/var/lib/syncrun/filler", check=False)
    after = before = machine.now()
    said = [f"MESSAGE_ID={MSG[what]}" for what in ("STORE_FAILED", "RUN_SUCCEEDED")]
    while own.call("StartRun", "sa{sv}", "thrifty", 0, check=False).returncode == 0:
        if machine.wait_journal(*said, after=before)["MESSAGE_ID"] == MSG["STORE_FAILED"]:  # its end did not fit any more
            break
        before = machine.now()
    own.wait("STORE_FAILED", after=after)
    assert "No space left" in own.property("StorageError")
    machine.shell("rm /var/lib/syncrun/filler")
    own.wait("STORE_RECOVERED", after=after)
    assert own.wait_end(own.start("thrifty"))["outcome"] == "succeeded"
    machine.shell("cat /dev/zero >/var/lib/syncrun/filler || true; systemctl restart syncrund.service")
    shown = machine.properties("syncrund.service", "ActiveState", "NRestarts", "StatusText")
    assert (shown["ActiveState"], shown["NRestarts"]) == ("active", "0")
    before = machine.now()
    machine.shell("rm /var/lib/syncrun/filler")
    if "no room" in shown["StatusText"]:  # else what it needs was there
        own.wait("DAEMON_STARTED", after=before)
    if own.property("StorageError"):
        own.wait("STORE_RECOVERED", after=before)
    assert own.wait_end(own.start("thrifty"))["outcome"] == "succeeded"
