# SPDX-License-Identifier: LGPL-2.1-or-later
"""A history that cannot be used, and a disk that cannot be written: what is said, what goes on by itself, and what does not."""

import errno
import json
import os
import resource
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import pytest
from harness import MANAGER, NAME, PATH, RUN, TIMEOUT_SEC, CallError, run_path, wait_for

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))
from machine import private_mounts

REFUSED = 65
PAGE = 4096


@pytest.fixture(scope="module")
def own_mounts():
    private_mounts()


@pytest.fixture
def small_disk(new_daemon, own_mounts):
    """The history on a disk of its own, of 2 MiB; returns what mounts it anew with other options."""
    def mount(*words):
        subprocess.run(["mount", *words, str(new_daemon.state)], check=True)

    mount("-t", "tmpfs", "-o", "size=2m", "tmpfs")
    yield lambda options: mount("-o", f"remount,{options}")
    new_daemon.close_process()
    # Workers that were not waited for may still stand in it.
    subprocess.run(["umount", "--lazy", str(new_daemon.state)], check=True)


def status(daemon):
    """The one that speaks of the history's file."""
    message = daemon.wait_notification(lambda message: message[0].startswith("STATUS=") and "history.db" in message[0])
    return message[0].removeprefix("STATUS=")


def refused(daemon, *words):
    """It ends with the status that the unit does not restart, and says why."""
    daemon.spawn()
    told = status(daemon)
    assert daemon.process.wait(TIMEOUT_SEC) == REFUSED
    daemon.process = None
    for word in words:
        assert word in told and word in daemon.log()


def fill(daemon):
    filler = daemon.state / "filler"
    with open(filler, "wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(PAGE))
    return filler


def make_history(daemon, client, n_runs=1):
    daemon.add("bank")
    daemon.start()
    for _ in range(n_runs):
        run = client.start("bank")[0]
        worker = daemon.worker()
        worker.attach()
        worker.finish(1, outcome="succeeded")
        worker.exit()
        wait_for(lambda: client.get(run_path(run), RUN, "State") == "finished", "the end")
    assert daemon.stop() == 0


# ---- A history that is none


def test_newer_version_is_left_alone(new_daemon):
    path = new_daemon.state / "history.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 1000")
        database.execute("CREATE TABLE future(x)")
    before = path.read_bytes()
    refused(new_daemon, "newer")
    assert path.read_bytes() == before


def test_not_a_database(new_daemon):
    path = new_daemon.state / "history.db"
    path.write_text("Dear diary, " * 100)
    refused(new_daemon, "damaged", "backup")


@pytest.mark.parametrize("clean", [True, False])
def test_damage(new_daemon, client, clean):
    """Found by the check after an unclean end, or when what is damaged is read."""
    make_history(new_daemon, client, 20)
    path = new_daemon.state / "history.db"
    content = bytearray(path.read_bytes())
    for page in range(1, len(content) // PAGE):
        content[page * PAGE:page * PAGE + 64] = b"\xff" * 64
    path.write_bytes(content)
    if not clean:
        (new_daemon.state / "history.db-wal").touch()
    refused(new_daemon, "damaged", "backup")


def test_no_folder(new_daemon):
    new_daemon.state.rmdir()
    refused(new_daemon, "folder")
    new_daemon.state.mkdir()


# ---- A disk that is full, or read-only


def report(client, message="x" * 500):
    event = {"run_id": "r", "user_id": "7f9c0d5e-1111-4222-8333-444455556666", "provider": "p", "source": "sdk",
             "stage": "fetching", "status": "in_progress", "message": message}
    client.manager("ReportEvents", "(s)", json.dumps([event]))


def test_full_disk_while_it_runs(new_daemon, client, small_disk):
    """Refused at once, in words, while what is there can be read; it goes on by itself."""
    new_daemon.add("bank")
    new_daemon.start()
    report(client)
    filler = fill(new_daemon)
    with pytest.raises(CallError) as caught:
        for _ in range(1000):  # until what is left of the log's last block is used up, too
            report(client)
    assert caught.value.name == "StorageUnavailable"
    wait_for(lambda: client.get(PATH, MANAGER, "StorageError"), "what is wrong")
    assert "No space left" in client.get(PATH, MANAGER, "StorageError")
    assert client.describe("DescribeRuns")["runs"]
    new_daemon.wait_status("History cannot be written: No space left on device, 1 run active")
    assert "Make room" in new_daemon.log()
    filler.unlink()
    wait_for(lambda: client.get(PATH, MANAGER, "StorageError") == "", "its recovery")
    run = client.start("bank")[0]
    worker = new_daemon.worker()
    assert worker.attach()[0] == run
    worker.exit()


def test_worker_outlives_a_full_disk(new_daemon, client, small_disk):
    new_daemon.add("bank")
    new_daemon.start()
    run = client.start("bank")[0]
    worker = new_daemon.worker()
    worker.attach()
    filler = fill(new_daemon)
    with pytest.raises(CallError) as caught:
        for number in range(1, 1000):
            worker.report(number, processed=number, message=f"{number} " + "x" * 500)
    assert caught.value.full_name.endswith("StorageUnavailable")
    filler.unlink()
    wait_for(lambda: client.get(PATH, MANAGER, "StorageError") == "", "its recovery")
    worker.report(number, processed=number)
    worker.finish(number + 1, outcome="succeeded")
    worker.exit()
    wait_for(lambda: client.get(run_path(run), RUN, "State") == "finished", "the end")
    assert client.get(run_path(run), RUN, "Outcome") == "succeeded"
    assert client.get(run_path(run), RUN, "ItemsProcessed") == number


def test_worker_of_before_outlives_a_disk_that_is_full_at_the_start(new_daemon, client, small_disk):
    """Connectors and runs that cannot be shown yet are no reason to send it away."""
    new_daemon.add("bank")
    new_daemon.start()
    run = client.start("bank")[0]
    worker = new_daemon.worker()
    worker.attach()
    new_daemon.kill9()
    for number in range(800):  # more than there is room for, also in what is left of the log
        new_daemon.add(f"another{number}")
    filler = fill(new_daemon)
    new_daemon.start()
    wait_for(lambda: client.get(PATH, MANAGER, "StorageError"), "what is wrong")
    assert [c["name"] for c in client.describe("DescribeConnectors")["connectors"]] == ["bank"]
    with pytest.raises(CallError) as caught:
        worker.report(1, processed=1)
    assert caught.value.name == "StorageUnavailable"
    filler.unlink()
    wait_for(lambda: client.get(PATH, MANAGER, "StorageError") == "", "its recovery")
    worker.report(1, processed=1)
    worker.finish(2, outcome="succeeded")
    worker.exit()
    wait_for(lambda: client.get(run_path(run), RUN, "State") == "finished", "the end")
    assert client.get(run_path(run), RUN, "Outcome") == "succeeded"


def waits(daemon, client, word):
    """It is up, says why it is of no use, and has no name yet."""
    daemon.spawn()
    told = status(daemon)
    daemon.wait_notification(lambda message: "READY=1" in message)
    assert word in told
    assert client.call("/org/freedesktop/DBus", "org.freedesktop.DBus", "NameHasOwner", "(s)", NAME,
                       destination="org.freedesktop.DBus") is False


def test_full_disk_at_the_start(new_daemon, client, small_disk):
    new_daemon.add("bank")
    filler = fill(new_daemon)
    waits(new_daemon, client, "no room")
    filler.unlink()
    client.wait_name(NAME)
    assert client.start("bank")
    new_daemon.worker().exit()
    assert new_daemon.log().count("no room") == 1


# ---- A quota, and a file that may not grow: SQLite says of neither that there is no room


@pytest.fixture
def full(new_daemon):
    """While it holds an errno, each write of the daemon to the history's files fails with it."""
    path = new_daemon.state.with_name("full")
    new_daemon.program = os.environ["SYNCRUND_FULL"]
    new_daemon.environment["SYNCRUN_TEST_FULL"] = str(path)
    return path


def messages(client):
    return [entry["event"]["message"] for entry in client.describe("DescribeEvents")["events"]]


def test_quota_while_it_runs(new_daemon, client, full):
    new_daemon.add("bank")
    new_daemon.start()
    report(client, "kept")
    run = client.start("bank")[0]
    worker = new_daemon.worker()
    worker.attach()
    full.write_text(str(errno.EDQUOT))
    for call in (lambda: report(client, "refused"), lambda: client.start("bank"), lambda: worker.report(1, processed=1)):
        with pytest.raises(CallError) as caught:
            call()
        assert caught.value.full_name.endswith("StorageUnavailable")
    wait_for(lambda: client.get(PATH, MANAGER, "StorageError"), "what is wrong")
    assert client.get(PATH, MANAGER, "StorageError") == "Disk quota exceeded"
    told = "STATUS=History cannot be written: Disk quota exceeded, "
    new_daemon.wait_notification(lambda message: message[0].startswith(told))
    assert "or raise the quota" in new_daemon.log()
    assert "kept" in messages(client) and "refused" not in messages(client)
    full.unlink()
    wait_for(lambda: client.get(PATH, MANAGER, "StorageError") == "", "its recovery")
    new_daemon.wait_notification(lambda message: message[0].startswith("STATUS=2 runs active"))
    report(client, "again")
    worker.report(1, processed=1)
    worker.finish(2, outcome="succeeded")
    worker.exit()
    wait_for(lambda: client.get(run_path(run), RUN, "State") == "finished", "the end")
    assert new_daemon.process.poll() is None
    new_daemon.kill9()
    new_daemon.start()
    assert {"kept", "again"} <= set(messages(client)) and "refused" not in messages(client)


def test_quota_before_a_kill(new_daemon, client, full):
    """What was acknowledged before it was used up is there after it, though the log could not be moved meanwhile."""
    new_daemon.start()
    report(client, "kept")
    full.write_text(str(errno.EDQUOT))
    with pytest.raises(CallError):
        report(client, "refused")
    new_daemon.kill9()
    waits(new_daemon, client, "quota")
    full.unlink()
    client.wait_name(NAME)
    assert messages(client) == ["kept"]


@pytest.mark.parametrize("number, words, is_new", [(errno.EDQUOT, "quota on its disk is used up", True),
                                                   (errno.EFBIG, "may not grow", False)])
def test_no_room_of_another_kind_at_the_start(new_daemon, client, full, number, words, is_new):
    if not is_new:
        make_history(new_daemon, client)
    full.write_text(str(number))
    waits(new_daemon, client, words)
    full.unlink()
    client.wait_name(NAME)
    assert len(client.describe("DescribeRuns")["runs"]) == (0 if is_new else 1)
    assert new_daemon.log().count(words) == 1


def test_file_that_may_not_grow(new_daemon, client):
    """The kernel's own limit comes with a signal that would end it."""
    new_daemon.start()
    report(client, "kept")
    log = new_daemon.state / "history.db-wal"
    _, hard = resource.prlimit(new_daemon.process.pid, resource.RLIMIT_FSIZE, (log.stat().st_size, resource.RLIM_INFINITY))
    with pytest.raises(CallError) as caught:
        report(client, "refused")
    assert caught.value.name == "StorageUnavailable"
    wait_for(lambda: client.get(PATH, MANAGER, "StorageError"), "what is wrong")
    assert client.get(PATH, MANAGER, "StorageError") == "File too large"
    resource.prlimit(new_daemon.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
    wait_for(lambda: client.get(PATH, MANAGER, "StorageError") == "", "its recovery")
    report(client, "again")
    assert messages(client) == ["kept", "again"]


def test_read_only_disk_at_the_start(new_daemon, client, small_disk):
    make_history(new_daemon, client)
    small_disk("ro")
    waits(new_daemon, client, "read-only")
    new_daemon.process.send_signal(1)  # HUP: nothing to be read yet
    small_disk("rw")
    client.wait_name(NAME)
    assert len(client.describe("DescribeRuns")["runs"]) == 1


def test_waiting_ends_when_it_is_told_to(new_daemon, client, small_disk):
    make_history(new_daemon, client)
    small_disk("ro")
    waits(new_daemon, client, "read-only")
    assert new_daemon.stop() == 0


# ---- A file that is removed or replaced under it


def copy_history(daemon):
    copy = daemon.state / "copy.db"
    subprocess.run(["sqlite3", str(daemon.state / "history.db"), f"VACUUM INTO '{copy}'"], check=True)
    return copy


def ends_for_another(daemon, copy):
    """With another file at its path it ends, so that the service manager starts it with that one, of which nothing was touched."""
    content = copy.read_bytes()
    copy.rename(daemon.state / "history.db")
    assert daemon.process.wait(TIMEOUT_SEC) == 1
    assert daemon.log().count("replaced, or its log or index removed") == 1
    assert (daemon.state / "history.db").read_bytes() == content
    assert not (daemon.state / "history.db-wal").exists()


def test_history_replaced_while_it_runs(new_daemon, client):
    """Its worker goes on with the one that is started then."""
    new_daemon.add("bank")
    new_daemon.start()
    assert "begins empty" in new_daemon.log()
    run = client.start("bank")[0]
    worker = new_daemon.worker()
    worker.attach()
    copy = copy_history(new_daemon)
    worker.report(1, processed=7)
    ends_for_another(new_daemon, copy)
    new_daemon.start()
    assert new_daemon.log().count("begins empty") == 1
    worker.report(2, processed=8)
    worker.finish(3, outcome="succeeded")
    worker.exit()
    wait_for(lambda: client.get(run_path(run), RUN, "State") == "finished", "the end")
    assert client.get(run_path(run), RUN, "ItemsProcessed") == 8


def test_history_removed_while_it_runs(new_daemon, client):
    """It does not begin a new one by itself, but waits, and can be read."""
    new_daemon.add("bank")
    new_daemon.start()
    run = client.start("bank")[0]
    worker = new_daemon.worker()
    worker.attach()
    copy = copy_history(new_daemon)
    (new_daemon.state / "history.db").unlink()
    wait_for(lambda: client.get(PATH, MANAGER, "StorageError"), "what is wrong")
    assert client.get(PATH, MANAGER, "StorageError") == "Its file was removed"
    new_daemon.wait_status("History cannot be written: Its file was removed, 1 run active")
    assert "until a backup is put in its place" in new_daemon.log()
    for call in (lambda: client.start("bank"), lambda: worker.report(1, processed=7)):
        with pytest.raises(CallError) as caught:
            call()
        assert caught.value.name.endswith("StorageUnavailable")
    assert [run["id"] for run in client.describe("DescribeRuns")["runs"]] == [run]
    ends_for_another(new_daemon, copy)
    new_daemon.start()
    worker.report(1, processed=7)
    worker.finish(2, outcome="succeeded")
    worker.exit()
    wait_for(lambda: client.get(run_path(run), RUN, "State") == "finished", "the end")
    assert client.get(run_path(run), RUN, "ItemsProcessed") == 7


# ---- Backup: what syncrund(8) says


def test_backup_of_the_live_history_and_its_return(new_daemon, client, tmp_path):
    new_daemon.add("bank")
    new_daemon.start()
    kept = client.start("bank")[0]
    worker = new_daemon.worker()
    worker.attach()
    backup = tmp_path / "backup.db"
    subprocess.run(["sqlite3", str(new_daemon.state / "history.db"), f"VACUUM INTO '{backup}'"], check=True)
    worker.finish(1, outcome="succeeded")
    worker.exit()
    wait_for(lambda: client.get(run_path(kept), RUN, "State") == "finished", "the end")
    lost = client.start("bank")[0]
    new_daemon.worker().exit()
    assert new_daemon.stop() == 0
    for name in ("history.db", "history.db-wal", "history.db-shm"):
        (new_daemon.state / name).unlink(missing_ok=True)
    backup.rename(new_daemon.state / "history.db")
    new_daemon.start()
    # What ran when it was made ran on without it: it failed, with a reason.
    wait_for(lambda: client.get(run_path(kept), RUN, "State") == "finished", "its end")
    assert client.get(run_path(kept), RUN, "Outcome") == "failed"
    assert lost not in [run["id"] for run in client.describe("DescribeRuns")["runs"]]
