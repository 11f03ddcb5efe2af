# SPDX-License-Identifier: LGPL-2.1-or-later
"""Limits of what the worker takes, and of what it tells at a time: at the limit, and one above."""

import json
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from gi.repository import GLib
from harness import TIMEOUT_SEC, WORKER, counts, record, schema, wait_for

sys.path.append(str(Path(__file__).resolve().parents[1] / "bus"))
from receiver import Receiver, answer  # noqa: E402

MIB = 1 << 20
REPORT_ACCOUNTS_MAX = 200
REPORT_ATTEMPTS_MAX = 256
LOG_LINE_MAX = 8192
OUTPUT_LINE_MAX = 4096
SECRET_BYTES_MAX = 64 * 1024
ANSWER_MAX = 1024  # WEBHOOK_ANSWER_MAX
ANSWER_READ_MAX = 64 * 1024  # DELIVERY_ANSWER_READ_MAX
BATCH_RECORDS_MAX = 10000
BATCH_BYTES_MAX = 16 * MIB


@pytest.fixture
def receiver(bench):
    made = Receiver([])
    made.notice = lambda request: GLib.MainContext.default().wakeup()
    (bench.folder / "secret").write_bytes(b"s" * 32)
    bench.daemon.rules = {"webhook_allow_http": True, "webhook_allow_literals": True, "webhook_private_networks": "127.0.0.0/8",
                          "webhook_timeout_usec": TIMEOUT_SEC * 1000000}
    bench.destination = [("Type", "webhook"), ("Url", made.url()), ("SecretFile", str(bench.folder / "secret"))]
    yield made
    made.close()


def waiting(bench):
    with sqlite3.connect(f"file:{bench.state}/items.db?mode=ro", uri=True) as database:
        return database.execute("SELECT count(*) FROM outbox").fetchone()[0]


def attempts(bench):
    return [attempt for told in bench.daemon.of("ReportDeliveries") for attempt in told]


# ---- Transactions


def batches(bench):
    """Records of each transaction of the destination."""
    stored = [int(n) for n in re.findall(r"(\d+) records are stored", bench.last.stderr)]
    return [end - begin for begin, end in zip([0, *stored], stored)]


def test_records_of_a_transaction(bench):
    """A slow machine makes smaller ones, as their time comes first; none makes a larger one."""
    end = bench.pull(b'{"type":"RECORD","stream":"s","record":{}}\n' * (3 * BATCH_RECORDS_MAX + 1))
    assert counts(end) == (3 * BATCH_RECORDS_MAX + 1, 1, 0, 3 * BATCH_RECORDS_MAX)
    assert sum(batches(bench)) == 3 * BATCH_RECORDS_MAX + 1 and max(batches(bench)) <= BATCH_RECORDS_MAX


@pytest.mark.parametrize("more, largest", [(0, 2), (-1, 3)])
def test_bytes_of_a_transaction(bench, more, largest):
    """Two lines that come to the limit end it; one byte less, and it takes another line."""
    head, tail = b'{"type":"RECORD","stream":"s","record":{"id":"', b'"}}\n'
    line = head + b"x" * (BATCH_BYTES_MAX // 2 - len(head + tail) + 1) + tail  # without its newline it is half of the limit
    bench.pull(line * 3 + line.replace(b"x", b"", -more) + line)
    assert sum(batches(bench)) == 5 and max(batches(bench)) <= largest


# ---- What programs print


@pytest.mark.parametrize("n, pieces", [(LOG_LINE_MAX, [LOG_LINE_MAX]), (LOG_LINE_MAX + 1, [LOG_LINE_MAX, 1])])
def test_bytes_of_a_logged_line(bench, n, pieces):
    bench.settings(bench.script(f"#!/bin/sh\nhead -c {n} /dev/zero | tr '\\0' x >&2\necho >&2\n"))
    assert [len(line) for line in re.findall(r"^pull\.py: (x+)$", bench.run().stderr, re.M)] == pieces


# ---- Reports


@pytest.mark.parametrize("n", [REPORT_ACCOUNTS_MAX, REPORT_ACCOUNTS_MAX + 1])
def test_accounts_of_a_report(bench, n):
    """What is one too many comes with another."""
    bench.pull([schema(), *[{**record(i), "account": f"a{i}"} for i in range(n)]])
    assert max(len(content.get("accounts", [])) for content in bench.daemon.of("Report") + bench.daemon.of("Finish")) <= REPORT_ACCOUNTS_MAX
    assert len(bench.daemon.accounts_of()) == n


@pytest.mark.parametrize("n", [REPORT_ATTEMPTS_MAX, REPORT_ATTEMPTS_MAX + 1])
def test_attempts_that_wait(bench, receiver, n):
    """While a call goes unanswered: the newest ones."""
    bench.settings(bench.lines([line for i in range(n) for line in (schema(f"s{i}"), record(i, f"s{i}"))]),
                   destination=bench.destination)
    receiver.script[:] = [answer(200, str(i).encode()) for i in range(n)]
    unanswered = []
    bench.daemon.before_reply = lambda method, _: method != "Attach" and not unanswered.append(method)
    run = bench.start()
    wait_for(lambda: len(receiver.requests) == n and waiting(bench) == 0, "the requests")
    assert unanswered == ["Report"]
    bench.daemon.before_reply = None
    bench.daemon.vanish()
    bench.daemon.appear()
    assert run.wait() == 0 and bench.daemon.end["outcome"] == "succeeded"
    assert [int(told["answer"]) for told in attempts(bench)] == list(range(n))[-REPORT_ATTEMPTS_MAX:]


# ---- Requests


@pytest.mark.parametrize("n, outcome", [(SECRET_BYTES_MAX, "succeeded"), (SECRET_BYTES_MAX + 1, "failed")])
def test_bytes_of_a_secret(bench, receiver, n, outcome):
    (bench.folder / "secret").write_bytes(b"s" * n)
    end = bench.pull([schema(), record(1)], destination=bench.destination)
    assert end["outcome"] == outcome and len(receiver.requests) == (outcome == "succeeded")
    if outcome == "failed":
        assert end["attention"] == "configuration_error" and "File too large" in end["error"]


def text_of(n):
    """An answer that has so many bytes, headers included."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
    body = n - len(head % 10000)  # five digits
    return head % body + b"y" * body


@pytest.mark.parametrize("n, kept", [(ANSWER_MAX, "y" * ANSWER_MAX), (ANSWER_MAX + 1, "y" * (ANSWER_MAX - len("…".encode())) + "…")])
def test_bytes_of_an_answer_that_are_kept(bench, receiver, n, kept):
    receiver.script.append(answer(200, b"y" * n))
    bench.pull([schema(), record(1)], destination=bench.destination)
    assert [told["answer"] for told in attempts(bench)] == [kept]


@pytest.mark.parametrize("more, connections", [(0, 1), (1, 2)])
def test_bytes_of_an_answer_that_are_read(bench, receiver, more, connections):
    """A connection whose answer was not read to its end is not used again."""
    receiver.script.append(lambda connection, _: connection.sendall(text_of(ANSWER_READ_MAX + more)))
    bench.pull([schema("a"), record(1, "a"), schema("b"), record(1, "b")], destination=bench.destination)
    assert [told["succeeded"] for told in attempts(bench)] == [True, True]
    assert len(receiver.requests) == 2 and len(receiver.connections) == connections


# ---- What reconnects


@pytest.mark.parametrize("n, message", [(OUTPUT_LINE_MAX, "abc"), (OUTPUT_LINE_MAX + 1, "ab")])
def test_bytes_of_a_line_of_what_reconnects(bench, n, message):
    """What comes after them is lost, as is seen by a line with blanks before it."""
    program = bench.script(f"#!/bin/sh\nprintf '%{n}s\\n' abc\n")
    (bench.folder / "connections").mkdir()
    (bench.folder / "connections" / "acme.connection").write_text(f"[Connection]\nProvider=acme\n[Reconnect]\nExecReconnect={program}\n")
    done = subprocess.run([WORKER, "--reconnect", "acme"], capture_output=True, text=True, env={
        "SYNCRUN_CONFIG_DIRS": str(bench.folder), "STATE_DIRECTORY": str(bench.state), "SYNCRUN_LOG_TARGET": "console"})
    assert json.loads(done.stdout)["message"] == message, done.stderr
