# SPDX-License-Identifier: LGPL-2.1-or-later
"""Log lines of a run, as journalctl gives them: one of the test's own, which says what the test wants."""

import json
import os
import socket
import threading

import pytest
from server import ALICE, BOB, TIMEOUT_SEC, add_key
from harness import CallError, Daemon, options

READS_MAX = 4  # LOG_READS_MAX
BYTES_MAX = 512 * 1024  # LOG_READ_BYTES_MAX
MESSAGE_MAX = 4096  # LOG_MESSAGE_MAX
LINES_MAX = 500  # LOG_LINES_MAX
REASON_MAX = 512
PROGRAM = """#!/bin/bash
printf '%s\\n' "$@" > "$0.arguments"
. "$0.script"
"""


def entry(usec, message, priority="6", **more):
    return json.dumps({"__REALTIME_TIMESTAMP": str(usec), "MESSAGE": message, "PRIORITY": priority,
                       "SYSLOG_IDENTIFIER": "connector", "_PID": "77", **more})


class Journal:
    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.program = folder / "journalctl"
        self.program.write_text(PROGRAM)
        self.program.chmod(0o755)
        self.says()

    def says(self, *lines, script=""):
        """Newest first, as --reverse has them."""
        (self.folder / "lines").write_text("".join(f"{line}\n" for line in lines))
        (self.folder / "journalctl.script").write_text(f"cat {self.folder}/lines\n{script}")

    def arguments(self):
        return (self.folder / "journalctl.arguments").read_text().splitlines()


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "bin")


@pytest.fixture
def daemon(bus, tmp_path, journal):
    instance = Daemon(bus, tmp_path)
    instance.environment["PATH"] = f"{journal.folder}:{os.environ['PATH']}"
    instance.add("bank", User=ALICE)
    yield instance.start()
    instance.close()


@pytest.fixture
def run(daemon, client):
    run_id, *_ = client.start("bank")
    worker = daemon.worker()
    worker.attach()
    worker.finish(1, outcome="succeeded")
    worker.exit()
    return run_id


def test_lines(shim, key, run, journal):
    journal.says(entry(1_763_800_001_500_000, "newest", "3"), entry(1_763_800_001_000_000, list(b"caf\xc3\xa9\xff"), _PID="x"),
                 "-- not an entry", entry(1_763_800_000_000_000, None, "nonsense"), entry(1_763_799_999_000_000, "x" * 9000), '{"half": ')
    answer = shim.get(f"/v1/sync-runs/{run}/log", key).json()
    assert (answer["available"], answer["reason"]) == (True, None)
    cut, empty, binary, newest = answer["lines"]
    assert cut["message"].endswith("…") and MESSAGE_MAX - 4 < len(cut["message"].encode()) <= MESSAGE_MAX
    assert empty == {"timestamp": "2025-11-22T08:26:40Z", "priority": 6, "identifier": "connector", "pid": 77, "message": ""}
    assert (binary["message"], binary["pid"]) == ("café\ufffd", None)
    assert newest == {"timestamp": "2025-11-22T08:26:41.500000Z", "priority": 3, "identifier": "connector", "pid": 77, "message": "newest"}
    words = journal.arguments()
    assert {"--output=json", "--reverse", "--lines=100"} <= set(words)
    matches = words[words.index("--lines=100") + 1:]
    assert matches[:5] == [f"SYNCRUN_RUN_ID={run}", "_SYSTEMD_UNIT=syncrund.service", "_SYSTEMD_UNIT=syncrun@bank.service",
                           "+", f"SYNCRUN_RUN_ID={run}"]
    assert matches[-1] == f"_UID={os.geteuid()}"
    shim.get(f"/v1/sync-runs/{run}/log?lines=500", key)
    assert "--lines=500" in journal.arguments()


@pytest.mark.parametrize("lines", ["0", "501", "-1", "x"])
def test_number_of_lines(shim, key, run, lines):
    assert shim.get(f"/v1/sync-runs/{run}/log?lines={lines}", key).status == 422


def test_number_of_lines_on_the_bus(daemon, client, run, journal):
    for lines, allowed in ((LINES_MAX, True), (LINES_MAX + 1, False)):
        try:
            client.manager("DescribeLog", "(sa{sv})", run, options(lines=lines))
            assert allowed
        except CallError as refused:
            assert not allowed and refused.name == "InvalidArgument" and "lines" in refused.message


@pytest.mark.parametrize("more", [0, 1])
def test_bytes_of_a_line(shim, key, run, journal, more):
    journal.says(entry(1, "x" * (MESSAGE_MAX + more)))
    (line,) = shim.get(f"/v1/sync-runs/{run}/log", key).json()["lines"]
    assert line["message"] == ("x" * (MESSAGE_MAX - len("…".encode())) + "…" if more else "x" * MESSAGE_MAX)


@pytest.mark.parametrize("more", [0, 1])
def test_bytes_of_a_reason(shim, key, run, journal, more):
    journal.says(script=f"echo {'x' * (REASON_MAX + more)} >&2; exit 1")
    reason = shim.get(f"/v1/sync-runs/{run}/log", key).json()["reason"]
    assert reason == ("x" * (REASON_MAX - len("…".encode())) + "…" if more else "x" * REASON_MAX)


def test_who_may(shim, key, client, run, journal):
    journal.says(entry(1, "secret"))
    path = f"/v1/sync-runs/{run}/log"
    assert shim.get(path).status == 401
    assert shim.get(path, add_key(client, "writer", ["sync:write", "sync:admin"])).status == 403
    assert shim.get(path, add_key(client, "bob", user=BOB)).status == 404
    assert shim.get(path, add_key(client, "alice", user=ALICE)).json()["lines"][0]["message"] == "secret"
    assert shim.get("/v1/sync-runs/none/log", key).status == 404


def test_journal_that_cannot_be_read(shim, key, run, journal):
    journal.says(script="echo 'Hint: You are currently not seeing messages from other users.' >&2; echo more >&2")
    answer = shim.get(f"/v1/sync-runs/{run}/log", key).json()
    assert answer == {"available": False, "reason": "You are currently not seeing messages from other users.", "lines": []}
    journal.says(script="echo 'No journal files were opened due to insufficient permissions.' >&2; exit 1")
    assert shim.get(f"/v1/sync-runs/{run}/log", key).json()["reason"] == "No journal files were opened due to insufficient permissions."
    journal.says(script="exit 1")
    assert shim.get(f"/v1/sync-runs/{run}/log", key).json() == {"available": False, "reason": "journalctl failed", "lines": []}
    journal.says()
    assert shim.get(f"/v1/sync-runs/{run}/log", key).json() == {"available": True, "reason": None, "lines": []}


def test_without_journalctl(shim, key, client, daemon, run):
    assert daemon.stop() == 0
    daemon.environment["PATH"] = "/nonexistent"
    daemon.start()
    answer = shim.get(f"/v1/sync-runs/{run}/log", key).json()
    assert answer == {"available": False, "reason": "journalctl is not installed", "lines": []}


def test_more_than_may_be(shim, key, run, journal):
    """The newest are told, and the child is not waited for."""
    line = entry(1_763_800_000_000_000, "x" * 1000)
    journal.says(entry(1_763_800_001_000_000, "newest"), script=f"yes '{line}'")
    lines = shim.get(f"/v1/sync-runs/{run}/log", key).json()["lines"]
    assert lines[-1]["message"] == "newest"
    assert len(lines) == 1 + (BYTES_MAX - len(entry(1_763_800_001_000_000, "newest")) - 1) // (len(line) + 1)


def test_reads_at_once(shim, key, client, daemon, run, journal, tmp_path):
    """As many as may be; one more is refused, and the daemon answers all else meanwhile."""
    meeting = socket.socket(socket.AF_UNIX)
    meeting.bind(str(daemon.sockets / "meeting"))
    meeting.listen()
    meeting.settimeout(TIMEOUT_SEC)
    journal.says(entry(1, "x"), script=f"exec python3 -c 'import socket; s = socket.socket(socket.AF_UNIX); s.connect(\"{daemon.sockets}/meeting\"); s.recv(1)'")
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(shim.get(f"/v1/sync-runs/{run}/log", key))) for _ in range(READS_MAX)]
    for thread in threads:
        thread.start()
    ends = [meeting.accept()[0] for _ in threads]
    assert shim.get(f"/v1/sync-runs/{run}/log", key).status == 429
    assert shim.get("/v1/connectors", key).status == 200 and answers == []
    for end in ends:
        end.close()
    for thread in threads:
        thread.join()
    assert [answer.json()["lines"][0]["message"] for answer in answers] == ["x"] * READS_MAX
    journal.says(entry(1, "again"))
    assert shim.get(f"/v1/sync-runs/{run}/log", key).status == 200
    meeting.close()


def test_one_that_does_not_end(shim, key, client, daemon, run, journal):
    journal.says(entry(1, "what there is"), script="exec sleep 60")
    answer = shim.get(f"/v1/sync-runs/{run}/log", key).json()
    assert [line["message"] for line in answer["lines"]] == ["what there is"]
    journal.says(script="exec sleep 60")
    waiting = client.start_call("/org/syncrun1", "org.syncrun1.Manager", "DescribeLog", "(sa{sv})", run, {})
    client.manager("DescribeUsers", "(a{sv})", {})
    assert daemon.stop() == 0 and not [answer for answer in waiting if isinstance(answer, str)]
